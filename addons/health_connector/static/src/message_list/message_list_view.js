import { listView } from "@web/views/list/list_view";
import { ListController } from "@web/views/list/list_controller";
import { registry } from "@web/core/registry";

/**
 * Tells the server whether the whole search is selected, or only the ticked rows:
 * Odoo sends the domain in both cases, and cuts the ids of a whole search at a limit.
 * What is meant is decided by health.choice on the server.
 */
export class MessageListController extends ListController {
    get actionMenuProps() {
        const props = super.actionMenuProps;
        return {
            ...props,
            context: { ...props.context, domain_selected: props.isDomainSelected },
        };
    }

    async beforeExecuteActionButton(clickParams) {
        if (clickParams.buttonContext) {
            clickParams.buttonContext.domain_selected = this.model.root.isDomainSelected;
        }
        return super.beforeExecuteActionButton(clickParams);
    }
}

registry.category("views").add("health_message_list", {
    ...listView,
    Controller: MessageListController,
});
