//! Until when and from where a key is good.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use gateway::{
    catalog::{Catalog, Purses},
    config::ChannelConfig,
    limits::Meters,
    upstream::{HttpUpstream, Upstream},
};
use store::directory::Directory;
use upstream_sim::Sim;

use crate::{
    harness::{CHAT, DIALECTS, KEY, SECRET, World, assert_error, eventually, four, get, plain, post, stream},
    wire::Request,
};

async fn world(more: &str, rest: &str) -> World {
    let sim = Sim::start().await;
    let text = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n{more}\n{rest}\n{}", four(&sim.url()));
    World::with(sim, &text)
}

/// Everything that a key opens is shut, with a code, before anything goes out.
async fn refused(world: &World, code: &str, text: &str, with: impl Fn(Request) -> Request) {
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let answer = world.ask(&with(request)).await;
            assert_eq!(answer.status, 403, "{dialect}: {answer:?}");
            assert_error(dialect, &answer.json(), 403);
            assert!(answer.text().contains(text), "{answer:?}");
            assert!(dialect == "anthropic_messages" || answer.text().contains(code), "{answer:?}");
            let line = world.settlement(&answer).await;
            assert_eq!((&line["ending"], &line["key"]), (&"refused".into(), &"app".into()), "{line}");
        }
    }
    for path in ["/v1/models", "/v1/models/sim", "/v1beta/models"] {
        assert_eq!(world.ask(&with(get(path))).await.status, 403, "{path}");
    }
    assert!(world.asked().is_empty(), "something went out");
}

#[tokio::test]
async fn a_key_ends_when_it_says() {
    let gone = world("expires = 2020-12-31", "").await;
    refused(&gone, "key_expired", "good until a day that is past", |request| request).await;
    gone.close().await;
    let soon = SystemTime::now() + Duration::from_secs(3_600);
    let still = world(&format!("expires = {}", humantime::format_rfc3339_seconds(soon)), "").await;
    for dialect in DIALECTS {
        assert_eq!(still.ask(&plain(dialect)).await.status, 200);
    }
    let past = SystemTime::now() - Duration::from_secs(2);
    let text = format!(
        "[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nexpires = {}\n{}",
        humantime::format_rfc3339_seconds(past),
        four(&still.sim.url())
    );
    still.app.apply(gateway::config::parse(&text, &|_: &str| None).unwrap()).unwrap();
    assert_eq!(still.ask(&plain("openai_chat")).await.status, 403, "a change holds at once");
    still.close().await;
}

/// Weakness S9 of the gateways that Sluice replaces: they believed whoever wrote X-Forwarded-For.
#[tokio::test]
async fn what_a_stranger_says_of_his_address_counts_for_nothing() {
    let forged = |request: Request| {
        request
            .header("x-forwarded-for", "192.0.2.5")
            .header("x-real-ip", "192.0.2.5")
            .header("forwarded", "for=192.0.2.5")
            .header("cf-connecting-ip", "192.0.2.5")
            .header("true-client-ip", "192.0.2.5")
    };
    let networks = "networks = [\"192.0.2.0/24\"]";
    for proxies in ["", "[proxies]\ntrusted = []", "[proxies]\ntrusted = [\"192.0.2.0/24\", \"10.0.0.0/8\"]"]
    {
        let world = world(networks, proxies).await;
        refused(&world, "address_not_allowed", "may not be used from 127.0.0.1", forged).await;
        world.close().await;
    }
    let here = world("networks = [\"::ffff:127.0.0.0/104\"]", "").await;
    assert_eq!(here.ask(&forged(plain("openai_chat"))).await.status, 200, "what he says takes nothing away");
    here.close().await;
}

#[tokio::test]
async fn behind_listed_proxies_the_client_is_whom_they_name() {
    let rest = "[proxies]\ntrusted = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";
    let world = world("networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]", rest).await;
    let ask = |forwarded: &'static str| {
        let request = plain("openai_chat").header("x-forwarded-for", forwarded);
        let world = &world;
        async move { world.ask(&request).await }
    };
    for good in [
        "192.0.2.5",
        "192.0.2.5:4711",
        "nonsense, 192.0.2.5, 10.0.0.9",
        "::ffff:192.0.2.5",
        "[2001:db8::7]:80",
    ] {
        assert_eq!(ask(good).await.status, 200, "{good}");
    }
    for (bad, from) in [
        // He wrote the first, the proxy the second.
        ("192.0.2.5, 203.0.113.9", "203.0.113.9"),
        ("192.0.2.5, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1"),
        ("unknown", "an address that is not known"),
    ] {
        let answer = ask(bad).await;
        assert_eq!(answer.status, 403, "{bad}: {answer:?}");
        assert!(answer.text().contains(&format!("may not be used from {from}")), "{answer:?}");
    }
    // Without the header it is the proxy itself that asks.
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 403);
    world.close().await;
}

/// Puts in force what the database would say after a change.
fn change(world: &World, change: impl FnOnce(&mut Directory)) {
    let app = &world.app;
    let mut directory = Directory::read(&app.database).unwrap();
    change(&mut directory);
    let sockets = app.flow.upstream_sockets.clone();
    let connect = move |channel: &ChannelConfig| -> Arc<dyn Upstream> {
        Arc::new(HttpUpstream::new(channel.timeouts.connect, channel.proxy.as_ref(), sockets.clone()))
    };
    let outfit = (app.database.sealer().unwrap(), &connect as &dyn Fn(&ChannelConfig) -> Arc<dyn Upstream>);
    let (config, mut meters) = (app.catalog.load().config.clone(), Meters::new(app.flow.clock));
    let catalog =
        Catalog::build(config, &directory, Vec::new(), None, &mut Purses::default(), &mut meters, outfit);
    app.catalog.store(Arc::new(catalog));
}

#[tokio::test]
async fn a_key_that_is_switched_off_says_so() {
    let world = world("", "").await;
    change(&world, |directory| directory.keys[0].is_disabled = true);
    refused(&world, "key_disabled", "is switched off", |request| request).await;
    world.close().await;
}

#[tokio::test]
async fn a_group_has_its_models_its_channels_and_its_limits() {
    let world = world("", "").await;
    let chat = |model: &str| post(CHAT, format!(r#"{{"model":"{model}","messages":[]}}"#));

    change(&world, |directory| directory.groups[0].models = r#"["other-*"]"#.to_owned());
    for dialect in DIALECTS {
        let answer = world.ask(&plain(dialect)).await;
        assert_eq!(answer.status, 403, "{dialect}: {answer:?}");
        assert!(answer.text().contains("may not use the model `sim`"), "{answer:?}");
    }
    assert_eq!(world.ask(&get("/v1/models")).await.json()["data"], serde_json::json!([]));
    assert_eq!(world.ask(&get("/v1/models/sim")).await.status, 404);

    change(&world, |directory| directory.groups[0].channels = r#"["nobody"]"#.to_owned());
    assert_eq!(world.ask(&chat("sim")).await.status, 403);
    assert_eq!(world.ask(&chat("unknown")).await.status, 404, "what nobody has is not a matter of groups");
    assert!(world.asked().is_empty());

    change(&world, |directory| {
        directory.groups[0].models = r#"["s*"]"#.to_owned();
        directory.groups[0].channels = r#"["openai_chat"]"#.to_owned();
        directory.groups[0].limits.max_in_flight = Some(1);
    });
    assert_eq!(world.ask(&chat("sim")).await.status, 200);
    assert_eq!(world.ask(&plain("anthropic_messages")).await.status, 400, "the channel is not the group's");
    assert_eq!(world.ask(&get("/v1/models/sim")).await.status, 200);
    world.sim.push(&format!("{SECRET}-openai_chat"), "silence".parse().unwrap());
    let mut first = world.client().await;
    first.send(&chat("sim").bytes()).await;
    world.sim.wait_until(|log| log.len() == 2).await;
    let second = world.ask(&chat("sim")).await;
    assert_eq!(second.status, 429, "{second:?}");
    assert!(second.text().contains("Your group, all of its members together, has 1 requests"), "{second:?}");
    first.leave();
    eventually("it left", || world.app.flow.in_flight() == 0).await;
    assert_eq!(world.ask(&chat("sim")).await.status, 200);
    world.close().await;
}
