//! The nearest of the names that would have been right.

/// The candidate that was most likely meant; `None` when none is near enough to be worth a question.
pub(super) fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = found.to_lowercase();
    let allowed = (found.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::osa_distance(&folded, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by(|a, b| a.cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::nearest;

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["kubeVip", "metalLB", "none", "equinixLoadBalancer"];
        let cases = [
            ("case", "kubevip", Some("kubeVip")),
            ("one letter", "kubeVp", Some("kubeVip")),
            ("swapped", "metlaLB", Some("metalLB")),
            ("far away", "haproxy", None),
            ("short and far", "no", None),
            ("short and near", "non", Some("none")),
            ("empty", "", None),
        ];
        for (name, found, expected) in cases {
            assert_eq!(nearest(found, names), expected, "{name}");
        }
    }
}
