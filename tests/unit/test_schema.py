"""Protects the declaration of the tables: their columns and order, Arrow types, and that every limit makes sense."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cohort.schema import (
    COHORT_TABLES,
    DERIVED_TABLES,
    DIRT_TABLES,
    TRUTH_ESTIMANDS,
    TRUTH_TABLES,
    Kind,
    Table,
    arrow_schema,
)

ALL_TABLES = (*COHORT_TABLES, *DERIVED_TABLES, *TRUTH_TABLES, TRUTH_ESTIMANDS, *DIRT_TABLES)
DECLARED = {
    "patients": "patient_id arm site index_date age_years sex ethnicity sle_duration_years isn_rps_class "
    "activity_index chronicity_index hypertension diabetes refractory induction background_therapy "
    "hydroxychloroquine raas_inhibitor follow_up_days end_reason",
    "visits": "patient_id visit_month day upcr_g_g serum_creatinine_mg_dl egfr_ml_min_1_73m2 albumin_g_dl c3_mg_dl "
    "c4_mg_dl anti_dsdna_iu_ml hemoglobin_g_dl urine_rbc_hpf urine_casts sledai_2k prednisolone_mg_day "
    "tacrolimus_trough_ng_ml",
    "treatments": "patient_id drug phase start_day stop_day dose_mg_day stop_reason",
    "events": "patient_id day event grade",
    "responses": "patient_id visit_month definition response reason",
    "flares": "patient_id day definition kind",
    "truth_patients": "patient_id propensity latent_severity",
    "truth_responses": "patient_id arm visit_month response",
    "truth_outcomes": "patient_id arm flare_day eskd_day death_day",
    "truth_faults": "fault_id part kind action file row clean_row column patient_id clean_value dirty_value "
    "recoverable description",
    "truth_estimands": "estimand population measure month contrast value std_error way note",
}


def test_tables_and_columns_are_those_of_schema_version_2() -> None:
    # A change here is a change of the file format: raise SCHEMA_VERSION with it.
    assert {table.name: " ".join(table.column_names) for table in ALL_TABLES} == DECLARED


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_every_column_is_described_once_and_has_sensible_limits(table: Table) -> None:
    assert len(set(table.column_names)) == len(table.columns)
    assert set(table.key) <= set(table.column_names)
    for column in table.columns:
        assert column.description, column.name
        assert (column.codes is not None) == (column.kind is Kind.CODE), column.name
        if column.minimum is not None and column.maximum is not None:
            assert column.minimum < column.maximum, column.name
        if column.decimals is not None:
            assert column.kind is Kind.NUMBER, column.name
        assert not (column.name in table.key and column.nullable), column.name


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_arrow_fields_carry_type_unit_and_description(table: Table) -> None:
    expected = {
        Kind.TEXT: pa.string(),
        Kind.CODE: pa.string(),
        Kind.INTEGER: pa.int32(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.DATE: pa.date32(),
    }
    schema = arrow_schema(table)
    assert schema.names == list(table.column_names)
    for column, field in zip(table.columns, schema, strict=True):
        assert field.type == expected[column.kind]
        assert field.nullable == column.nullable
        assert field.metadata == {b"unit": column.unit.encode(), b"description": column.description.encode()}
