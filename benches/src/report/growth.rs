//! How a number grows along an axis.

/// The exponent of the power law that fits the points best: 0 where the number does not grow, 1 where
/// it grows as the axis does. By least squares over the logarithms.
pub(super) fn exponent(line: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> =
        line.iter().filter(|(_, y)| *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    if logs.len() < 3 {
        return None;
    }
    let n = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / n;
    let both: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let square: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(both / square)
}

/// The steepest step from one place to the next.
pub(super) fn worst_step(line: &[(f64, f64)]) -> Option<f64> {
    let steps = line.windows(2).filter(|pair| pair[0].1 > 0.0).map(|pair| pair[1].1 / pair[0].1);
    steps.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_root_has_the_exponent_of_a_half() {
        let line: Vec<(f64, f64)> =
            [1.0, 10.0, 100.0, 1000.0].map(|x: f64| (x, 7.0 * x.sqrt())).into();
        assert!((exponent(&line).expect("enough points") - 0.5).abs() < 1e-9);
    }

    #[test]
    fn two_points_are_not_fitted() {
        assert_eq!(exponent(&[(1.0, 1.0), (10.0, 10.0)]), None);
    }
}
