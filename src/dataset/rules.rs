use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The rules for irregular rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Assistant messages before the first user message.
    pub greeting: Greeting,
    /// Consecutive user messages.
    pub double_user: DoubleUser,
    /// System messages after the first turn.
    pub middle_system: MiddleSystem,
    /// Empty user messages.
    pub empty_user: EmptyUser,
    /// Tool calls and their results, and definitions of tools.
    pub tools: Tools,
    /// With [`Tools::Regenerate`]: the source's calls and results are dropped, because somebody else answers calls.
    pub drops_results: bool,
    /// Columns with instructions beside the messages.
    pub system_column: SystemColumn,
    /// Images, audio, video.
    pub media: Media,
    /// Placeholders that were not filled in.
    pub placeholders: Placeholders,
    /// Values for placeholders.
    pub fill: Fill,
}

/// Defines rules as enums of which the first variant is the default.
macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $(#[$first_meta:meta])* $first:ident, $($(#[$variant_meta:meta])* $variant:ident,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant,)*
        }
    )*};
}

choices! {
    /// How a greeting is handled.
    Greeting {
        /// It is kept as context and not regenerated.
        Keep,
        /// It is dropped.
        Drop,
        }

        /// How consecutive user messages are handled.
    DoubleUser {
        /// They are joined by an empty line.
        Join,
        /// They are kept as separate messages of one turn.
        Keep,
        /// The row is skipped.
        Skip,
        }

        /// How a system message after the first turn is handled.
    MiddleSystem {
        /// It keeps its place.
        Keep,
        /// It is folded into a user message, for servers that reject system messages there.
        Fold,
        /// It is dropped.
        Drop,
        }

        /// How an empty user message is handled.
    EmptyUser {
        /// The conversation ends before it, because the rest has lost its context.
        Cut,
        /// The row is skipped.
        Skip,
        }

        /// How tools are handled. A row's definitions are sent to the model that answers, except with [`Tools::Hide`].
    Tools {
        /// A row with calls is skipped.
        Skip,
        /// It ends before the turn with the first call.
        KeepPrefix,
        /// The source's calls and results are kept as context; the answers after them are regenerated.
        Replay,
        /// A row with calls is skipped, and the definitions of the others are neither sent nor written.
        Hide,
        /// The model that answers makes the calls, and the source's results follow those that are the same. Each call of the
        /// source ends a turn. For [`Distill`](crate::recipe::Distill) alone.
        Regenerate,
    }

    /// How a column such as `system` or `system_prompt` is handled.
    SystemColumn {
        /// Its text becomes the first message.
        Use,
        /// It stays a column.
        Leave,
    }

    /// How images, audio and video are handled.
    Media {
        /// The row is skipped.
        Skip,
        /// They are dropped, and the text is kept.
        Drop,
        }

        /// How placeholders that were not filled in are handled.
    Placeholders {
        /// They are kept and counted.
        Keep,
        /// The row is skipped.
        Skip,
    }
}

/// Values for placeholders of templates: `name=Ada,author=Lovelace`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill(Vec<(String, String)>);

impl FromStr for Fill {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pairs = text.split(',').map(|pair| {
            let (name, words) = pair.split_once('=')?;
            Some((name.trim().to_owned(), words.to_owned())).filter(|(name, _)| !name.is_empty())
        });
        pairs.collect::<Option<_>>().map(Self).ok_or("write NAME=WORDS, separated by commas")
    }
}

impl Fill {
    /// Fills the placeholders `{{name}}`, `{{ name }}` and `[name]` of a text. Returns `None` where it has none of them.
    pub fn apply(&self, text: &str) -> Option<String> {
        let mut filled: Option<String> = None;
        for (name, words) in &self.0 {
            for gap in [format!("{{{{{name}}}}}"), format!("{{{{ {name} }}}}"), format!("[{name}]")] {
                let text = filled.as_deref().unwrap_or(text);
                if text.contains(&gap) {
                    filled = Some(text.replace(&gap, words));
                }
            }
        }
        filled
    }
}
