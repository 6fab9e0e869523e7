//! Whether a model can be asked at its provider's flex tier.

use crate::conversation::{Price, ServiceTier, Target};
use crate::job::JobError;
use crate::model::{Dialect, Endpoint, flex_tier, profile_table};

const FIELD: &str = "service_tier";

/// Refuses a model without a flex tier. Returns what the user should know where its price is unknown.
pub fn check(
    endpoint: &Endpoint,
    dialect: &dyn Dialect,
    price: Option<&Price>,
    target: &Target,
) -> Result<Option<String>, JobError> {
    let name = &endpoint.name;
    let has_price = price.is_some_and(|price| price.flex.is_some());
    let tier = flex_tier(name, &endpoint.urls);
    if !dialect.capabilities().tiers.contains(&ServiceTier::Flex) || (tier.is_none() && !has_price) {
        return Err(no_flex(name));
    }
    let extras = target.extras();
    if extras.side.get(FIELD).or(extras.body.get(FIELD)).is_some() {
        let message = format!("the lane of the model `{name}` is flex, and its body sets {FIELD} too");
        return Err(JobError::usage(message, format!("remove {FIELD} from the body")));
    }
    let is_unknown = price.is_some() && !has_price && tier.is_none_or(|tier| tier.price_share < 1.0);
    Ok(is_unknown.then(|| {
        format!(
            "the price of flex answers of `{name}` is unknown: they are booked at the standard price; \
             `flex` in the price of {table} sets it",
            table = profile_table(name)
        )
    }))
}

/// A model is to be asked at a flex tier that it does not have.
pub fn no_flex(name: &str) -> JobError {
    JobError::usage(
        format!("the model `{name}` has no flex tier"),
        format!(
            "remove --lane flex, or set lane = \"online\" in {table}; if its server does have one, give its price \
             there: price = {{ input = 0.10, output = 0.40, flex = {{ input = 0.05, output = 0.20 }} }}, in dollars for a \
             million tokens",
            table = profile_table(name)
        ),
    )
}
