"""What the prespecified analyses compare and describe."""

from __future__ import annotations

OUTCOMES = ("CR", "PR", "CR or PR")
"""Response outcomes analysed at every visit."""

TABLE_ONE = (
    "age_years", "sex", "ethnicity", "site", "sle_duration_years", "isn_rps_class", "class_v", "activity_index",
    "chronicity_index", "hypertension", "diabetes", "refractory", "upcr_g_g", "serum_creatinine_mg_dl",
    "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl", "c4_mg_dl", "anti_dsdna_iu_ml", "hemoglobin_g_dl",
    "urine_rbc_hpf", "urine_casts", "sledai_2k", "prednisolone_mg_day", "index_year", "induction",
    "background_therapy", "hydroxychloroquine", "raas_inhibitor",
)  # fmt: skip
"""Rows of Table 1, in order."""
