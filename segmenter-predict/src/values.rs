//! What can be made of a logit alone.

/// The probability of foreground: 1 / (1 + exp(-logit)).
#[must_use]
pub fn probability(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The probability of foreground in a byte: 256 times it, rounded, and no more than 255. One half is
/// 128, in every image.
///
/// ```
/// use segmenter_predict::probability_byte;
///
/// assert_eq!([-9.0, -1.0, 0.0, 1.0, 9.0].map(probability_byte), [0, 69, 128, 187, 255]);
/// ```
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion to a byte ends at 255"
)]
pub fn probability_byte(logit: f32) -> u8 {
    (256.0 * probability(logit)).round() as u8
}

/// 1 where the probability of foreground is above a threshold, 0 elsewhere.
///
/// ```
/// use segmenter_predict::mask;
///
/// assert_eq!([-1.0, 0.0, 0.1].map(mask(0.5)), [0, 0, 1]);
/// ```
pub fn mask(threshold: f32) -> impl Fn(f32) -> u8 + Copy {
    move |logit| u8::from(probability(logit) > threshold)
}
