//! Minimum-cost assignment between two small sets (the Hungarian method with potentials).

/// The column of each row, `costs[row][column]`; every row gets a distinct column if there are
/// enough, the rest stay `None`.
///
/// A NaN cost counts as a very high one.
pub(crate) fn cheapest_assignment(costs: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (costs.len(), costs.first().map_or(0, Vec::len));
    let cost = |row: usize, column: usize| {
        if costs[row][column].is_nan() { 1e12 } else { costs[row][column].clamp(-1e12, 1e12) }
    };
    let mut assigned = vec![None; rows];
    if rows <= columns {
        for (column, row) in rows_of_columns(rows, columns, cost).into_iter().enumerate() {
            if let Some(row) = row {
                assigned[row] = Some(column);
            }
        }
    } else {
        assigned = rows_of_columns(columns, rows, |row, column| cost(column, row));
    }
    assigned
}

/// The row of each column, for no more rows than columns: rows are inserted one by one along the
/// cheapest augmenting path.
fn rows_of_columns(
    rows: usize,
    columns: usize,
    cost: impl Fn(usize, usize) -> f64,
) -> Vec<Option<usize>> {
    // Column 0 is a virtual one that holds the row being inserted; rows and columns are counted
    // from 1 below.
    let (mut row_price, mut column_price) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut row_at = vec![0; columns + 1];
    for entering in 1..=rows {
        row_at[0] = entering;
        let (mut slack, mut came_from, mut done) =
            (vec![f64::INFINITY; columns + 1], vec![0; columns + 1], vec![false; columns + 1]);
        let mut column = 0;
        while row_at[column] != 0 {
            done[column] = true;
            let row = row_at[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in (1..=columns).filter(|&other| !done[other]) {
                let reduced = cost(row - 1, other - 1) - row_price[row] - column_price[other];
                if reduced < slack[other] {
                    (slack[other], came_from[other]) = (reduced, column);
                }
                if slack[other] < step {
                    (step, next) = (slack[other], other);
                }
            }
            for other in 0..=columns {
                if done[other] {
                    row_price[row_at[other]] += step;
                    column_price[other] -= step;
                } else {
                    slack[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = came_from[column];
            row_at[column] = row_at[before];
            column = before;
        }
    }
    row_at[1..].iter().map(|&row| row.checked_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn total(costs: &[Vec<f64>], assigned: &[Option<usize>]) -> f64 {
        costs
            .iter()
            .zip(assigned)
            .filter_map(|(row, column)| column.map(|column| row[column]))
            .sum()
    }

    /// The cheapest assignment of every row from `row` on to a column that is not yet used.
    fn by_trial(costs: &[Vec<f64>], row: usize, used: &mut Vec<bool>) -> f64 {
        if row == costs.len() {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for column in 0..used.len() {
            if !used[column] {
                used[column] = true;
                least = least.min(costs[row][column] + by_trial(costs, row + 1, used));
                used[column] = false;
            }
        }
        least
    }

    #[test]
    fn assignment_is_as_cheap_as_the_best_of_all() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for rows in 0..5 {
            for columns in rows.max(1)..6 {
                let costs: Vec<Vec<f64>> = (0..rows)
                    .map(|_| (0..columns).map(|_| rng.random::<f64>() * 10.0 - 5.0).collect())
                    .collect();
                let assigned = cheapest_assignment(&costs);
                assert!(assigned.iter().all(Option::is_some));
                assert!(
                    (total(&costs, &assigned) - by_trial(&costs, 0, &mut vec![false; columns]))
                        .abs()
                        < 1e-9,
                    "{costs:?}"
                );
            }
        }
    }

    #[test]
    fn more_rows_than_columns_leave_the_dearest_rows_out() {
        let costs = [vec![5.0], vec![1.0], vec![3.0]];
        assert_eq!(cheapest_assignment(&costs), [None, Some(0), None]);
        assert_eq!(cheapest_assignment(&[]), []);
    }

    #[test]
    fn cost_that_is_no_number_is_avoided() {
        let costs = [vec![f64::NAN, 1.0], vec![0.0, f64::INFINITY]];
        assert_eq!(cheapest_assignment(&costs), [Some(1), Some(0)]);
    }
}
