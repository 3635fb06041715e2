//! PCK and its relatives, with intervals, paired tests and reports
