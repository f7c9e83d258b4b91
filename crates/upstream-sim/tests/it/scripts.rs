//! The written form of scripts.

use upstream_sim::Script;

#[test]
fn every_word_is_read_and_written_back() {
    let scripts = [
        "healthy",
        "status=429,error=rate_limit,retry-after=3,retry-after-ms=250,retry-info=48",
        "retry-after=date",
        "body=empty",
        "body=html",
        "body=gzip",
        "body=hang",
        "body=endless",
        "body=trickle",
        "body=reset",
        "body=huge",
        "body=big:4096",
        "silence",
        "close",
        "rst",
        "refuse-after-accept",
        "stale",
        "early-413",
        "head-trickle=50",
        "delay=1,first=2",
        "redirect=http://other.test/?a=1%2C2%25",
        "words,tool,reasoning,echo,crlf,comments,gzip-sse,eof-delimited",
        "events=3,every=4,size=5,pings=6",
        "stall=1",
        "cut=1",
        "fin=1",
        "reset=1",
        "error-event=0",
        "no-terminal",
        "no-done",
        "linger",
        "ping-only",
        "lifecycle-only",
        "one-byte",
        "burst",
        "chop=3",
        "type=text/plain",
        "length=wrong-short",
        "length=wrong-long",
        "huge-line=100000,large-reply=5",
        "tool=find_ship,arguments={\"a\":1%2C\"b\":\"50%25\"},quote-result,wants-signature,busy",
        "usage=none",
        "usage=null",
        "usage=1:2",
    ];
    for text in scripts {
        let script: Script = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = script.to_string();
        assert_eq!(written.parse::<Script>().unwrap(), script, "{text} became {written}");
        if text != "healthy" {
            assert_ne!(script, Script::default(), "{text}");
        }
    }
    assert_eq!("".parse::<Script>().unwrap(), Script::default());
}

#[test]
fn what_is_unknown_or_contradictory_is_refused() {
    for text in [
        "stal=1",
        "stall",
        "stall=x",
        "stall=1,cut=2",
        "one-byte,burst",
        "silence,close",
        "body=odd",
        "status=99",
        "error=odd",
        "usage=1",
        "chop=0",
        "silence=1",
        "tool=",
        "arguments=[]",
        "arguments={\"a\":1",
        "quote-result=1",
        "length=right",
        "type=a%0d%0ab",
        "redirect=a%0d%0ab",
    ] {
        assert!(text.parse::<Script>().is_err(), "{text}");
    }
}
