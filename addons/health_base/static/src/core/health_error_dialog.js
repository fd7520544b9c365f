import { WarningDialog, odooExceptionTitleMap } from "@web/core/errors/error_dialogs";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

// The client picks the dialog by the exact class of the exception: without this a
// HealthUserError, although a UserError, shows as a crash and hides its text.
const EXCEPTION = "odoo.addons.health_base.exceptions.HealthUserError";

odooExceptionTitleMap.set(EXCEPTION, _t("Invalid Operation"));
registry.category("error_dialogs").add(EXCEPTION, WarningDialog);
