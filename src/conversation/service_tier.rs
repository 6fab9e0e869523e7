/// The tier of a provider's service that an answer was charged at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceTier {
    /// The standard tier, or one that has no price of its own here.
    #[default]
    Standard,
    /// The flex tier: slower, often for half the price.
    Flex,
}

impl ServiceTier {
    /// The flex tier's name in requests and replies.
    pub const FLEX: &str = "flex";

    /// Returns the tier that a server names.
    pub fn named(name: &str) -> Self {
        if name.eq_ignore_ascii_case(Self::FLEX) { Self::Flex } else { Self::Standard }
    }
}
