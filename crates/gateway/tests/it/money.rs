//! What requests cost, who pays, and who may not call.

use serde_json::Value;
use store::report;
use tokio::task::JoinSet;
use upstream_sim::Sim;

use crate::{
    harness::{CHAT, DIALECTS, KEY, World, assert_error, channel, eventually, four, plain, post, stream},
    wire::Request,
};

const PRICED: &str = "[[price]]\nmodel = \"sim\"\ninput = 2.5\noutput = 10\n";

fn limited(limit: &str, more: &str) -> String {
    format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = {limit}\n{more}")
}

fn books(world: &World) -> report::Books {
    // A reader beside the owner, as `sluice books` is.
    world.app.database.read(report::books_of).unwrap()
}

/// A chat request that wants so many tokens.
fn wants(tokens: u64) -> Request {
    let body =
        format!(r#"{{"model":"sim","max_tokens":{tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    post(CHAT, body).header("authorization", format!("Bearer {KEY}"))
}

/// Nanodollars for a line's usage at the price above.
fn cost(line: &Value) -> String {
    let count = |name: &str| line["usage"][name].as_i64().unwrap_or_default();
    store::Nanos(count("input") * 2_500 + count("output") * 10_000).to_string()
}

#[tokio::test]
async fn every_answer_is_charged_by_what_the_provider_says_was_used() {
    let sim = Sim::start().await;
    let text = limited("100", PRICED) + &four(&sim.url());
    let world = World::with(sim, &text);
    let mut charged = store::Nanos::ZERO;
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let line = world.settlement(&answer).await;
            assert!(line["usage"]["output"].as_u64().unwrap() > 0, "{line}");
            assert_eq!(line["charge"], cost(&line), "{line}");
            charged = charged.plus(store::Nanos::from_usd(line["charge"].as_str().unwrap()).unwrap());
        }
    }
    let books = books(&world);
    assert_eq!(books.violations, Vec::<String>::new());
    assert_eq!((books.keys[0].spent, books.keys[0].requests, books.entries), (charged, 8, 8));
    assert_eq!(books.accounts[0].balance, store::Nanos(-charged.0));
    let key = world.app.catalog.load().key(KEY).unwrap().purse.state();
    assert_eq!((key.spent, key.held), (charged, store::Nanos::ZERO));
    world.close().await;
}

#[tokio::test]
async fn who_cannot_pay_is_told_so_in_his_dialect_and_nothing_goes_out() {
    let sim = Sim::start().await;
    // Even the assumed output costs more.
    let text = limited("0.001", PRICED) + &four(&sim.url());
    let world = World::with(sim, &text);
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let answer = world.ask(&request).await;
            assert_error(dialect, &answer.json(), answer.status);
            assert!(answer.text().contains("spend limit"), "{answer:?}");
            let line = world.settlement(&answer).await;
            assert_eq!((&line["ending"], &line["charge"]), (&"rejected".into(), &"0".into()), "{line}");
        }
    }
    assert!(world.asked().is_empty());
    // A request that asks for little may come in.
    assert_eq!(world.ask(&wants(10)).await.status, 200);
    world.close().await;
}

#[tokio::test]
async fn fifty_at_once_against_a_limit_for_ten_admit_ten() {
    let sim = Sim::start().await;
    // 1,000 tokens of output and less than a hundred of input: between 1.0 and 1.1 cents each.
    // Nobody gets an answer while the others ask.
    let text = limited("0.109", PRICED) + &channel("c", "openai_chat", &sim.scripted("silence"), "sim");
    let world = World::with(sim, &text);
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let mut client = world.client().await;
        asking.spawn(async move { client.ask(&wants(1_000)).await.status });
    }
    for _ in 0..40 {
        assert_eq!(asking.join_next().await.unwrap().unwrap(), 429);
    }
    eventually("ten at the provider", || world.asked().len() == 10).await;
    assert_eq!((world.app.flow.in_flight(), asking.len()), (10, 10));
    asking.shutdown().await;
    world.close().await;
}

#[tokio::test]
async fn a_model_without_a_price_is_for_those_who_do_not_pay() {
    let sim = Sim::start().await;
    let text = limited("100", "[[key]]\nname = \"free\"\nsecret = \"sk-free\"\n") + &four(&sim.url());
    let world = World::with(sim, &text);
    let answer = world.ask(&plain("openai_chat")).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "model_not_priced");
    assert!(world.asked().is_empty());
    let mut request = plain("openai_chat");
    request.headers[0].1 = "Bearer sk-free".to_owned();
    let answer = world.ask(&request).await;
    let line = world.settlement(&answer).await;
    assert_eq!((&line["charge"], &line["unpriced"]), (&"0".into(), &true.into()), "{line}");
    world.close().await;
}

#[tokio::test]
async fn a_model_of_the_public_list_costs_what_it_says_unless_the_operator_says_otherwise() {
    let sim = Sim::start().await;
    let own = "[[price]]\nmodel = \"gpt-4o-mini\"\ninput = 0\noutput = 0\n";
    let text = limited("100", own) + &channel("c", "openai_chat", &sim.url(), "gpt-4o*");
    let world = World::with(sim, &text);
    let ask = |model: &str| {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        post(CHAT, body).header("authorization", format!("Bearer {KEY}"))
    };
    let line = world.settlement(&world.ask(&ask("gpt-4o")).await).await;
    assert_ne!(line["charge"], "0", "{line}");
    assert_eq!(line["charge"], cost(&line), "gpt-4o is listed at 2.5 and 10: {line}");
    let line = world.settlement(&world.ask(&ask("gpt-4o-mini")).await).await;
    assert_eq!((&line["charge"], &line["unpriced"]), (&"0".into(), &false.into()), "{line}");
    world.close().await;
}

#[tokio::test]
async fn what_failed_costs_nothing_and_a_reload_keeps_what_was_spent() {
    let sim = Sim::start().await;
    let text = |limit: &str, sim: &Sim| limited(limit, PRICED) + &four(&sim.url());
    let (first, second) = (text("100", &sim), text("0.00000001", &sim));
    let world = World::with(sim, &first);
    world.sim.push("upstream-secret-openai_chat", "status=500".parse().unwrap());
    let answer = world.ask(&plain("openai_chat")).await;
    let line = world.settlement(&answer).await;
    assert_eq!((&line["ending"], &line["charge"]), (&"failed".into(), &"0".into()), "{line}");
    assert_eq!(world.ask(&plain("anthropic_messages")).await.status, 200);
    world.check().await;
    let key = || world.app.catalog.load().key(KEY).unwrap().purse.state();
    let spent = key().spent;
    assert!(spent > store::Nanos::ZERO);
    world.app.apply(gateway::config::parse(&second, &|_: &str| None).unwrap()).unwrap();
    assert_eq!(key().spent, spent);
    assert_eq!(world.ask(&plain("anthropic_messages")).await.status, 402);
    world.close().await;
}
