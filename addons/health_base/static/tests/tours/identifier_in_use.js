import { registry } from "@web/core/registry";

const line = (field) => `.o_selected_row [name=${field}] input`;

registry.category("web_tour.tours").add("health_base_identifier_in_use", {
    steps: () => [
        { trigger: ".o_field_widget[name=name] input", run: "edit Dario Testwood" },
        {
            trigger: ".o_field_widget[name=identifier_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        { trigger: line("system"), run: "edit testlab" },
        { trigger: line("value"), run: "edit tmr 900 1" },
        { trigger: ".o_form_button_save", run: "click" },
        {
            content: "The refusal says what to do; it is no crash report",
            trigger: ".modal:contains(Invalid Operation) .modal-body:contains(in use already)",
        },
        { trigger: ".modal-footer button", run: "click" },
        { trigger: line("value"), run: "edit tmr 900 2" },
        { trigger: ".o_form_button_save", run: "click" },
        { trigger: ".o_form_saved, .o_form_readonly" },
    ],
});
