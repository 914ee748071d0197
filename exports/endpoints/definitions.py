"""What each endpoint means, in one line: said wherever its figures are shown.

Source: docs/endpoints.md, which has the exact rules.
"""

from collections.abc import Mapping

OUTCOMES: Mapping[str, str] = {
    "treated": "At least one dosing period with a mean daily dose above 0",
    "index_date": "First day of the first such period",
    "age_at_start": "Completed years from birth to the index date",
    "last_contact": "Date of last news, or else the latest day of an assessment or dosing period",
    "treatment_end": "Last day of the last active dosing period, blank when it is open or not before the last contact",
    "on_treatment": "No end of treatment",
    "discontinued_for": "Why the last active dosing period ended, when treatment ended",
    "dose_reduced_for": "Why the first active period began whose mean daily dose is below that of the one before it",
    "n_prior_systemic": "Different systemic treatments (oral or injected) before lenalidomide",
    "prior_thalidomide": "Any treatment with thalidomide before lenalidomide",
    "bor": "Best overall response at evaluable assessments up to 30 days after the end of treatment: "
    "CR above 95 % clearance, PR from 50 %, both without new lesions, else NR; NE without such an assessment",
    "responder": "Best overall response CR or PR",
    "bor_date": "Date of the first assessment that reached the best overall response",
    "months_to_bor": "Months (30.4375 days) from the index date to that assessment",
    "bor_after_adjustment": "The dose in force on that day differs from the first dose",
    "relapsed": "An evaluable assessment after that one has new lesions or a clearance below 50 %",
    "relapse_date": "Date of the first such assessment",
    "relapse_setting": "After the end of treatment, at a dose below that of the best response, or on a stable dose",
    "months_to_relapse_or_censor": "Months from the best response to the relapse, or else to the last evaluable one",
    "cr_lost": "After a complete response some evaluable assessment is not CR",
    "cr_months": "Months from the complete response to its loss, or else to the last evaluable assessment",
    "sustained_cr": "A complete response that was not lost",
    "any_ae": "Any adverse event",
    "serious_ae": "Any serious adverse event (ICH E2A)",
    "grade3_ae": "Any adverse event of CTCAE grade 3 or more",
    "ae_discontinued": "Lenalidomide permanently discontinued for an adverse event",
    "ae_dose_reduced": "Dose reduced for an adverse event",
    "neuropathy": "Peripheral neuropathy",
    "thrombosis": "Venous or arterial thrombosis",
    "lupus_flare": "Flare of systemic lupus",
}
"""By name of the outcome of a patient."""

FIGURES: Mapping[str, str] = {
    "enrolled": "Patients with a patient form",
    "treated": "Patients with at least one active dosing period: the denominator, unless said otherwise",
    "male": "Men",
    "female": "Women",
    "discoid": "Patients with chronic discoid lupus among the subtypes",
    "age": "Age at the first dose, in completed years",
    "prior": "Systemic treatments before lenalidomide",
    "prior_thalidomide": "Patients who had thalidomide before",
    "cr": "Complete response: clearance above 95 % and no new lesions",
    "pr": "Partial response: clearance from 50 % and no new lesions",
    "nr": "No response",
    "ne": "Not evaluable: no evaluable assessment up to 30 days after the end of treatment",
    "responders": "Overall response: complete or partial",
    "months_to_bor": "Months from the first dose to the best overall response, of responders",
    "months_to_bor_cr": "The same of those with a complete response",
    "months_to_bor_pr": "The same of those with a partial response",
    "cr_months": "Months a complete response lasted, or was followed",
    "sustained_cr": "Complete responses that were not lost",
    "responders_on_treatment": "Responders still treated at last news",
    "relapsed": "Responders with a relapse: new lesions, or clearance below 50 %",
    "relapsed_after_dose_reduction": "Of them, relapses at a dose below that of the best response",
    "any_ae": "Patients with any adverse event",
    "serious_ae": "Patients with a serious adverse event (ICH E2A)",
    "ae_discontinued": "Patients with a permanent discontinuation for an adverse event",
    "ae_dose_reduced": "Patients with a dose reduction for an adverse event",
    "neuropathy": "Patients with peripheral neuropathy",
    "thrombosis": "Patients with a venous or arterial thrombosis",
    "lupus_flare": "Patients with a flare of systemic lupus",
    "changed_without_relapse": "Responders without relapse whose dose was reduced or who stopped for an adverse event "
    "or a lasting response",
    "changed_without_relapse_for.adverse_event": "Of them, for an adverse event",
    "changed_without_relapse_for.sustained_response": "Of them, for a lasting response",
    "kaplan_meier.months_to_bor": "Kaplan-Meier estimate of the months from the first dose to the best response",
    "kaplan_meier.months_to_relapse": "Kaplan-Meier estimate of the months from the best response to relapse",
    "kaplan_meier.cr_months": "Kaplan-Meier estimate of the months a complete response lasts",
}
"""By name of the figure of a cohort."""
