"""What each endpoint means, in one line: said wherever its figures are shown, in the language of whoever reads.

Source: docs/endpoints.md, which has the exact rules.
"""

from collections.abc import Mapping

from django.utils.translation import gettext_noop

OUTCOMES: Mapping[str, str] = {
    "treated": gettext_noop("At least one dosing period with a mean daily dose above 0"),
    "index_date": gettext_noop("First day of the first such period"),
    "age_at_start": gettext_noop("Completed years from birth to the index date"),
    "last_contact": gettext_noop("Date of last news, or else the latest day of an assessment or dosing period"),
    "treatment_end": gettext_noop(
        "Last day of the last active dosing period, blank when it is open or not before the last contact"
    ),
    "on_treatment": gettext_noop("No end of treatment"),
    "discontinued_for": gettext_noop("Why the last active dosing period ended, when treatment ended"),
    "dose_reduced_for": gettext_noop(
        "Why the first active period began whose mean daily dose is below that of the one before it"
    ),
    "n_prior_systemic": gettext_noop("Different systemic treatments (oral or injected) before lenalidomide"),
    "prior_thalidomide": gettext_noop("Any treatment with thalidomide before lenalidomide"),
    "bor": gettext_noop(
        "Best overall response at evaluable assessments up to 30 days after the end of treatment: "
        "CR above 95 % clearance, PR from 50 %, both without new lesions, else NR; NE without such an assessment"
    ),
    "responder": gettext_noop("Best overall response CR or PR"),
    "bor_date": gettext_noop("Date of the first assessment that reached the best overall response"),
    "months_to_bor": gettext_noop("Months (30.4375 days) from the index date to that assessment"),
    "bor_after_adjustment": gettext_noop("The dose in force on that day differs from the first dose"),
    "relapsed": gettext_noop("An evaluable assessment after that one has new lesions or a clearance below 50 %"),
    "relapse_date": gettext_noop("Date of the first such assessment"),
    "relapse_setting": gettext_noop(
        "After the end of treatment, at a dose below that of the best response, or on a stable dose"
    ),
    "months_to_relapse_or_censor": gettext_noop(
        "Months from the best response to the relapse, or else to the last evaluable one"
    ),
    "cr_lost": gettext_noop("After a complete response some evaluable assessment is not CR"),
    "cr_months": gettext_noop(
        "Months from the complete response to its loss, or else to the last evaluable assessment"
    ),
    "sustained_cr": gettext_noop("A complete response that was not lost"),
    "any_ae": gettext_noop("Any adverse event"),
    "serious_ae": gettext_noop("Any serious adverse event (ICH E2A)"),
    "grade3_ae": gettext_noop("Any adverse event of CTCAE grade 3 or more"),
    "ae_discontinued": gettext_noop("Lenalidomide permanently discontinued for an adverse event"),
    "ae_dose_reduced": gettext_noop("Dose reduced for an adverse event"),
    "neuropathy": gettext_noop("Peripheral neuropathy"),
    "thrombosis": gettext_noop("Venous or arterial thrombosis"),
    "lupus_flare": gettext_noop("Flare of systemic lupus"),
}
"""By name of the outcome of a patient."""

FIGURES: Mapping[str, str] = {
    "enrolled": gettext_noop("Patients with a patient form"),
    "treated": gettext_noop("Patients with at least one active dosing period: the denominator, unless said otherwise"),
    "male": gettext_noop("Men"),
    "female": gettext_noop("Women"),
    "discoid": gettext_noop("Patients with chronic discoid lupus among the subtypes"),
    "age": gettext_noop("Age at the first dose, in completed years"),
    "prior": gettext_noop("Systemic treatments before lenalidomide"),
    "prior_thalidomide": gettext_noop("Patients who had thalidomide before"),
    "cr": gettext_noop("Complete response: clearance above 95 % and no new lesions"),
    "pr": gettext_noop("Partial response: clearance from 50 % and no new lesions"),
    "nr": gettext_noop("No response"),
    "ne": gettext_noop("Not evaluable: no evaluable assessment up to 30 days after the end of treatment"),
    "responders": gettext_noop("Overall response: complete or partial"),
    "months_to_bor": gettext_noop("Months from the first dose to the best overall response, of responders"),
    "months_to_bor_cr": gettext_noop("The same of those with a complete response"),
    "months_to_bor_pr": gettext_noop("The same of those with a partial response"),
    "cr_months": gettext_noop("Months a complete response lasted, or was followed"),
    "sustained_cr": gettext_noop("Complete responses that were not lost"),
    "responders_on_treatment": gettext_noop("Responders still treated at last news"),
    "relapsed": gettext_noop("Responders with a relapse: new lesions, or clearance below 50 %"),
    "relapsed_after_dose_reduction": gettext_noop("Of them, relapses at a dose below that of the best response"),
    "any_ae": gettext_noop("Patients with any adverse event"),
    "serious_ae": gettext_noop("Patients with a serious adverse event (ICH E2A)"),
    "ae_discontinued": gettext_noop("Patients with a permanent discontinuation for an adverse event"),
    "ae_dose_reduced": gettext_noop("Patients with a dose reduction for an adverse event"),
    "neuropathy": gettext_noop("Patients with peripheral neuropathy"),
    "thrombosis": gettext_noop("Patients with a venous or arterial thrombosis"),
    "lupus_flare": gettext_noop("Patients with a flare of systemic lupus"),
    "changed_without_relapse": gettext_noop(
        "Responders without relapse whose dose was reduced or who stopped for an adverse event or a lasting response"
    ),
    "changed_without_relapse_for.adverse_event": gettext_noop("Of them, for an adverse event"),
    "changed_without_relapse_for.sustained_response": gettext_noop("Of them, for a lasting response"),
    "kaplan_meier.months_to_bor": gettext_noop(
        "Kaplan-Meier estimate of the months from the first dose to the best response"
    ),
    "kaplan_meier.months_to_relapse": gettext_noop(
        "Kaplan-Meier estimate of the months from the best response to relapse"
    ),
    "kaplan_meier.cr_months": gettext_noop("Kaplan-Meier estimate of the months a complete response lasts"),
}
"""By name of the figure of a cohort."""
