"""Values of other cohorts of lupus nephritis beside which a cohort is put, each with its source."""

# ruff: noqa: RUF009 - reference() declares a field, as dataclasses.field() does

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from analyses.realism.borrowed import MEAN, MEDIAN, PROPORTION, RATE, NamedCohort, Reference, reference

_MOK = NamedCohort("Mok trial, Hong Kong", "PMID 25550339, https://ard.bmj.com/content/79/8/1070", 150)
_PARK = NamedCohort("Park 2022, Hanyang, Korea", "https://synapse.koreamed.org/articles/1516080026", 75)
_YOU = NamedCohort("You 2009, Hanyang, Korea", "WPRIM 103782", 67)
_BAE = NamedCohort("599 patients, Hanyang, Korea", "doi:10.1177/09612033261415978", 599)
_HO = NamedCohort("Ho 2020, Hong Kong", "https://doaj.org/article/363906ab4a4440ba903e721955c11f6c", 115)
_ZOSTER = NamedCohort("Mok zoster cohort, Hong Kong", "doi:10.1177/0961203320923739", 251)
_KWON_FIRST = NamedCohort("Kwon 2020, Severance, nephritis at onset", "doi:10.3349/ymj.2020.61.11.951", 92)
_KWON_EARLY = NamedCohort("Kwon 2020, Severance, nephritis early", "doi:10.3349/ymj.2020.61.11.951", 44)
_AHN = NamedCohort(
    "Ahn, Severance, proliferative",
    "https://yonsei.elsevierpure.com/en/publications/clinical-characteristics-and-long-term-outcomes-in-patients-with-",
)
_CHOI = NamedCohort("Choi 2017, Hanyang, Korea", "https://lupus.bmj.com/content/4/Suppl_1/A34.2")
_IJMS = NamedCohort("39 patients of mixed activity", "https://pmc.ncbi.nlm.nih.gov/articles/PMC6567280", 39)
_ACTIVE = NamedCohort("52 patients, active class III or IV", "https://pmc.ncbi.nlm.nih.gov/articles/PMC3674621", 52)
_SMALL = NamedCohort("17 patients", "https://pmc.ncbi.nlm.nih.gov/articles/PMC9615980", 17)
_CHINA = NamedCohort("105 patients, China, by outcome", "PMID 24548442")
_FEI = NamedCohort(
    "Fei 2013, Peking Union, refractory",
    "https://scholars.mssm.edu/en/publications/low-dose-tacrolimus-in-treating-lupus-nephritis-refractory-to-cyc",
    26,
)
_MULTITARGET = NamedCohort("Mok 2013, suboptimal responders", "https://ar.scribd.com/document/252113601", 21)
_TRUST = NamedCohort("TRUST, Japan, on tacrolimus", "https://www.jrheum.org/highwire/citation/37389/refworks-tagged")
_TRUST_LATE = NamedCohort("TRUST, Japan, on tacrolimus", "https://www.readbyqxmd.com/read/38359944/", 1355)
_ST_MARYS = NamedCohort("St Mary's, Seoul, after response", "https://www.kjim.org/journal/view.php?number=170884")
_YAP_MPA = NamedCohort("Yap 2017, Hong Kong, on mycophenolate", "http://www.jrheum.org/highwire/citation/32102/ris")
_YAP = NamedCohort("Yap 2017, Hong Kong, all", "http://www.jrheum.org/highwire/citation/32102/ris")
_THAI = NamedCohort("87 Thai patients after response", "https://esmed.org/MRA/mra/article/view/2831")
_CHAN = NamedCohort("230 patients, Hong Kong", "doi:10.1093/ndt/gfs073")
_JEON = NamedCohort("401 patients, St Mary's, Seoul", "Lupus 30:1896")
_MOON = NamedCohort("321 patients, St Mary's, Seoul", "PMID 22935632")
_TOKYO = NamedCohort("17 patients, Tokyo", "https://karger.com/nec/article-abstract/113/4/c330/831286/", 17)
_TARGETS = NamedCohort("trial targets", "doi:10.1136/lupus-2016-000169")
_CLAIMS = NamedCohort(
    "claims of all SLE, Korea 2015",
    "https://www.dovepress.com/drug-utilization-and-therapy-provision-patterns-by-prescriber-types-am-peer-reviewed-fulltext-article-PPA",
)
_LUNA = NamedCohort("LUNA, Japan, all SLE", "https://pmc.ncbi.nlm.nih.gov/articles/PMC10504661", 732)
_EARLY = NamedCohort("91 patients, early SLE, Hong Kong", "doi:10.1093/qjmed/hci155")
_AUSTRALIA = NamedCohort("lupus nephritis, Australia", "https://pmc.ncbi.nlm.nih.gov/articles/PMC7509980")

_UMOL, _PER_LITRE = 88.42, 10.0
"""Micromoles per litre of creatinine in 1 mg/dL, and grams per litre in 1 g/dL."""


@dataclass(frozen=True, slots=True)
class RealismRanges:
    """Published values of other cohorts, field by field; the rates by arithmetic from printed cumulative shares.

    Examples
    --------
    >>> low, high = RealismRanges().age.range
    >>> round(low, 1), round(high, 1)
    (26.7, 40.2)
    """

    age: Reference = reference(
        "age_years", MEAN, "years",
        _PARK(28.9, sd=9.7), _YOU(30.6, sd=9.0), _ZOSTER(34.2, sd=14.2), _MOK(35.5, sd=12.8), _HO(38.0, sd=12.2),
    )  # fmt: skip
    female: Reference = reference("sex=female", PROPORTION, "", _PARK(0.907), _YOU(62 / 67), _MOK(0.92), _HO(0.90))
    class_ii: Reference = reference("isn_rps_class=II", PROPORTION, "", _YOU(4 / 67))
    class_iii: Reference = reference(
        "isn_rps_class=III or III+V", PROPORTION, "", _PARK(0.36), _MOK(0.36), _YOU(15 / 67)
    )
    class_iv: Reference = reference(
        "isn_rps_class=IV or IV+V", PROPORTION, "", _PARK(0.56), _MOK(0.46), _HO(0.67), _YOU(30 / 67)
    )
    class_v: Reference = reference(
        "isn_rps_class=V", PROPORTION, "", _PARK(0.08), _BAE(90 / 599), _MOK(0.19), _YOU(15 / 67)
    )
    activity: Reference = reference("activity_index", MEAN, "points", _MOK(8.2, sd=3.4))
    chronicity: Reference = reference("chronicity_index", MEAN, "points", _MOK(2.6, sd=1.6))
    upcr: Reference = reference(
        "upcr_g_g", MEDIAN, "g/g",
        _KWON_EARLY(2.41, quartiles=(1.265, 5.1685)), _KWON_FIRST(4.6261, quartiles=(2.18, 6.7883)),
    )  # fmt: skip
    upcr_mean: Reference = reference("upcr_g_g", MEAN, "g/g", _CHOI(3.06, sd=3.0), _MULTITARGET(3.27, sd=1.5))
    creatinine: Reference = reference(
        "serum_creatinine_mg_dl", MEDIAN, "mg/dL",
        _CHINA(58.1 / _UMOL, quartiles=(53.0 / _UMOL, 70.9 / _UMOL)),
        _CHINA(67.5 / _UMOL, quartiles=(53.5 / _UMOL, 129.1 / _UMOL)),
        _IJMS(0.80, quartiles=(0.70, 1.10)),
        _CHINA(128.9 / _UMOL, quartiles=(69.9 / _UMOL, 184.3 / _UMOL)),
    )  # fmt: skip
    creatinine_mean: Reference = reference("serum_creatinine_mg_dl", MEAN, "mg/dL", _ACTIVE(1.06, sd=0.58))
    egfr: Reference = reference(
        "egfr_ml_min_1_73m2", MEAN, "mL/min/1.73 m2",
        _MULTITARGET(82.4, sd=33.0), _CHOI(96.55, sd=37.07), _SMALL(111.7, sd=33.7),
    )  # fmt: skip
    egfr_below_90: Reference = reference("egfr_below_90", PROPORTION, "", _MOK(0.67))
    hypertension: Reference = reference("hypertension", PROPORTION, "", _MOK(0.39))
    albumin: Reference = reference(
        "albumin_g_dl", MEDIAN, "g/dL",
        _CHINA(22.4 / _PER_LITRE, quartiles=(19.3 / _PER_LITRE, 29.4 / _PER_LITRE)),
        _CHINA(23.1 / _PER_LITRE, quartiles=(18.9 / _PER_LITRE, 28.6 / _PER_LITRE)),
        _CHINA(30.6 / _PER_LITRE, quartiles=(27.8 / _PER_LITRE, 34.6 / _PER_LITRE)),
    )  # fmt: skip
    albumin_mean: Reference = reference(
        "albumin_g_dl", MEAN, "g/dL", _FEI(2.556, sd=0.794), _MULTITARGET(3.01, sd=0.59)
    )
    c3: Reference = reference(
        "c3_mg_dl", MEAN, "mg/dL", _ACTIVE(60.86, sd=43.6), _IJMS(81.3, sd=24.8), _SMALL(88.0, sd=30.0)
    )
    c4: Reference = reference("c4_mg_dl", MEDIAN, "mg/dL", _IJMS(14.0, quartiles=(8.1, 21.0)))
    c4_mean: Reference = reference("c4_mg_dl", MEAN, "mg/dL", _SMALL(20.0, sd=10.0))
    anti_dsdna: Reference = reference("anti_dsdna_iu_ml", MEDIAN, "IU/mL", _IJMS(14.2, quartiles=(7.7, 78.8)))
    haemoglobin: Reference = reference("hemoglobin_g_dl", MEAN, "g/dL", _SMALL(11.43, sd=2.1))
    sledai: Reference = reference("sledai_2k", MEAN, "points", _FEI(11.42, sd=6.74), _IJMS(12.18, sd=1.16))
    hydroxychloroquine: Reference = reference(
        "hydroxychloroquine", PROPORTION, "", _CLAIMS(0.324), _LUNA(296 / 732), _IJMS(0.795), _SMALL(0.882)
    )
    prednisolone: Reference = reference(
        "prednisolone_mg_day", MEAN, "mg/day", _TRUST_LATE(16.0, sd=9.7), _SMALL(16.3, sd=7.1)
    )
    trough: Reference = reference(
        "tacrolimus_trough_ng_ml", MEAN, "ng/mL",
        _TOKYO(3.9, sd=2.1), _TARGETS(5.0, band=(4.0, 6.0)), _TARGETS(3.95, band=(3.0, 4.9)),
    )  # fmt: skip
    renal_flare: Reference = reference(
        "renal_flare", RATE, "",
        _YAP_MPA(1.9), _HO(5.1), _TRUST(7.3), _ST_MARYS(9.6), _YAP(10.8), _THAI(10.9), _HO(11.2),
    )  # fmt: skip
    eskd: Reference = reference("eskd", RATE, "", _TRUST(0.46), _BAE(0.66), _MOON(0.84), _AHN(2.2))
    death: Reference = reference("death", RATE, "", _BAE(0.48), _CHAN(0.59), _JEON(1.41), _AHN(1.8))
    serious_infection: Reference = reference("serious_infection", RATE, "", _HO(3.9), _EARLY(18.5), _AUSTRALIA(19.5))
    herpes_zoster: Reference = reference("herpes_zoster", RATE, "", _TRUST(0.2), _ZOSTER(8.84))

    def references(self) -> tuple[Reference, ...]:
        """Return the references in the order of the fields."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))
