//! A person's order to let pods through: which one stands.

use crate::{evidence::LetThrough, history::History, time::Span, verdict::Scene};

/// How long a person's order to let pods through stands if it cannot be carried out.
const ORDER_LASTS: Span = Span::from_secs(4 * 3600);

/// How far in the future an order may be given: clocks differ by seconds. One of tomorrow is a mistake, and
/// must not stand for longer than others.
const CLOCKS_DIFFER: Span = Span::from_secs(60);

/// The order that a person gave, until it is carried out or too old.
///
/// Whoever gave it judged by what they saw then: it ends once nothing that it covers is left, however wide or
/// narrow the rollout becomes afterwards, and is void after some hours. Orders are carried out in the order of
/// their times: one that is no later than the last is not obeyed again, whoever writes it back.
pub(crate) fn ordered(scene: &Scene<'_>, history: &History) -> Option<LetThrough> {
    let order = given(scene, history).filter(|_| void(scene, history).is_none())?;
    let width = order.width.min(scene.census.full);
    (width > 0).then_some(LetThrough { width, ..order })
}

/// The order that a person gave and that was never carried out, whether or not it may be.
fn given(scene: &Scene<'_>, history: &History) -> Option<LetThrough> {
    let order = scene.evidence.rollout.let_through?;
    let is_new = history.obeyed.is_none_or(|obeyed| order.given > obeyed);
    is_new.then_some(order)
}

/// Why a person's order that was never carried out is not obeyed, if it is not for its time.
pub(crate) fn void(scene: &Scene<'_>, history: &History) -> Option<&'static str> {
    let order = given(scene, history)?;
    if scene.now.since(order.given) >= ORDER_LASTS {
        Some("it was given four hours ago or more")
    } else if order.given.since(scene.now) > CLOCKS_DIFFER {
        Some("its time lies ahead")
    } else {
        None
    }
}
