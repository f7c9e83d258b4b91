//! Who can read the tokens that a channel gives out with its thinking.
//!
//! In: a channel's configuration, and a mask for what clients must not read. Out: the [`Makers`] of its tokens. They are written
//! into what clients keep: they must never let anybody check a guess of an address or of a channel's name.

use std::sync::Arc;

use dialect::Dialect;
use http::uri::Authority;
use store::seal::Sealer;

use crate::config::ChannelConfig;

/// Whose a channel's tokens are, as it is told to clients.
#[derive(Debug)]
pub struct Makers {
    /// A provider reads the tokens of all its accounts; of others nothing is known but where they are.
    place: Arc<str>,
    /// OpenAI's responses bind what they encrypt to the account: nobody but this channel is sent it.
    account: Arc<str>,
}

impl Makers {
    pub(super) fn of(config: &ChannelConfig, masks: &Sealer) -> Makers {
        let provider = config.provider.name;
        let at = config.base_url.authority().map_or("", Authority::as_str);
        let own = config.provider.base_url.and_then(|own| own.parse::<http::Uri>().ok());
        let is_own = own.is_some_and(|own| own.authority().is_some_and(|own| own == at));
        let place = match is_own {
            true => provider.into(),
            false => format!("{provider}-{}", masks.mask(at)).into(),
        };
        // A name has no line end, an address neither: the two cannot be taken for others.
        let account = format!("{provider}-{}", masks.mask(&format!("{at}\n{}", config.name))).into();
        Makers { place, account }
    }

    pub fn in_dialect(&self, dialect: Dialect) -> &Arc<str> {
        match dialect {
            Dialect::OpenaiResponses => &self.account,
            Dialect::OpenaiChat | Dialect::AnthropicMessages | Dialect::GeminiGenerate => &self.place,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::parse;

    fn makers(sealer: &Sealer, channels: &[(&str, &str, &str)]) -> Vec<Makers> {
        let one = |(name, provider, url): &(&str, &str, &str)| {
            let dialect = if *provider == "custom" { "dialect = \"openai_responses\"\n" } else { "" };
            let url = if url.is_empty() { String::new() } else { format!("base_url = \"{url}\"\n") };
            format!(
                "[[channel]]\nname = \"{name}\"\nprovider = \"{provider}\"\n{dialect}{url}secrets = [\"s-{name}\"]\nmodels = [\"m\"]\n"
            )
        };
        let text: String = channels.iter().map(one).collect();
        let config = parse(&text, &|_: &str| None).unwrap();
        config.channels.iter().map(|channel| Makers::of(channel, sealer)).collect()
    }

    #[test]
    fn accounts_of_a_provider_share_its_tokens_but_for_those_of_responses() {
        let sealer = Sealer::ephemeral().unwrap();
        let made = makers(
            &sealer,
            &[
                ("a", "anthropic", ""),
                ("b", "anthropic", ""),
                ("elsewhere", "anthropic", "https://claude.example.com"),
                ("c", "openai", ""),
                ("d", "openai", ""),
                ("e", "custom", "https://one.example.com"),
                ("f", "custom", "https://one.example.com/other/path"),
                ("g", "custom", "https://two.example.com"),
            ],
        );
        let place = |at: usize| &**made[at].in_dialect(Dialect::AnthropicMessages);
        assert_eq!((place(0), place(1), place(3)), ("anthropic", "anthropic", "openai"));
        assert_ne!(place(2), "anthropic", "somebody else under the provider's name");
        assert!(place(5) == place(6) && place(5) != place(7));
        let accounts: std::collections::BTreeSet<&str> =
            made.iter().map(|made| &**made.in_dialect(Dialect::OpenaiResponses)).collect();
        assert_eq!(accounts.len(), made.len());
        // They stand between colons.
        assert!(accounts.iter().all(|account| !account.contains(':')));
    }

    #[test]
    fn a_guess_of_the_address_cannot_be_checked_without_the_key() {
        let key = "0123456789abcdef0123456789abcdef";
        let [one, again, other] =
            [key, key, "another-key-of-another-gateway-0"].map(|key| Sealer::from_text(key).unwrap());
        let at = |sealer: &Sealer| {
            let made = makers(sealer, &[("c", "custom", "http://10.0.0.7:8000")]);
            (made[0].place.to_string(), made[0].account.to_string())
        };
        assert_eq!(at(&one), at(&again), "on every node, and after a restart");
        assert!(at(&one).0 != at(&other).0 && at(&one).1 != at(&other).1);
    }
}
