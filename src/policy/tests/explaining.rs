//! What `explain` shows: every value with its source, every loser with its reason.

use super::world::{World, repeated};
use crate::model::{Kind, ObjectId};
use crate::policy::{Engine, Explanation, FindError, Loser, PolicyConfig, explain, find_user};

const TREE: &str = "
    domain DC=corp,DC=example
      | sip.registrar = 10 0 sips:reg.corp.example
      | sip.outbound-proxy = @nearest(outbound-proxy)
      | media.srtp ! required
      | language = de
      | ntp = a.example, b.example
      policy CN=late
        | order 200
        | language = en
      policy CN=for-staff
        | filter group:CN=staff,DC=corp,DC=example
        | language = nl
      policy CN=keep-out
        | filter deny group:CN=sales,DC=corp,DC=example
        | order 1
        | language = it
      ou OU=Europe
        | sip.expires = 300
        | record.mode = always
        | record.mode ! sometimes
        ou OU=Berlin
          | block=sip.expires
          | media.srtp = off
          | ntp -= a.example
          | ntp += c.example
          | video.max-height = 9000
          | video.max-height = 1080
          | video.max-height = 720
          | conference.mcu = @nearest(mcu)
          | account.aor = sip:all@corp.example
          server CN=ber
            | role = outbound-proxy
            | server = 10 0 sips:ber1.corp.example
          user CN=anna
            displayName: Anna Weber
            mail: anna@corp.example
            | account.display-name = Anna
            | ntp += b.example
            | dial.rule -= ^1$
      group CN=sales
        member: CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example
        | forward.delay = 40
      group CN=others
        member: CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example
        | order 50
        | forward.delay = 50
      group CN=staff
        member: CN=nobody,DC=corp,DC=example
";

fn explained() -> Explanation {
    let world = World::configured(TREE, &["sip.expires = 100"]);
    explain(&world.snapshot(), &world.config, world.named("anna"), None).unwrap()
}

#[test]
fn as_text() {
    let mut explanation = explained();
    // Settings that nobody speaks of have their built-in value and nothing to tell.
    explanation.settings.retain(|e| !e.losers.is_empty() || e.values.iter().any(|v| v.source.layer != "built-in"));
    insta::assert_snapshot!(explanation.to_string(), @"
    sip:anna@corp.example  CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example
    policies, the highest last:
      config
      domain  CN=late,DC=corp,DC=example  order 200
      domain  CN=for-staff,DC=corp,DC=example  order 100  does not apply: the user is not in `CN=staff,DC=corp,DC=example`
      domain  DC=corp,DC=example  order 100
      domain  CN=keep-out,DC=corp,DC=example  order 1  does not apply: the user is in `CN=sales,DC=corp,DC=example`, which the object denies
      OU 1  OU=Europe,DC=corp,DC=example  order 100
      OU 2  OU=Berlin,OU=Europe,DC=corp,DC=example  order 100
      group  CN=sales,DC=corp,DC=example  order 100
      group  CN=others,DC=corp,DC=example  order 50
      user  CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example  order 100

    account.aor
      sip:anna@corp.example
          = user CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example (mail), change 1 of 1970-01-01T00:00:13Z
      not sip:all@corp.example: only a user can have it
          = OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    account.display-name
      Anna
          = user CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not Anna Weber: a policy line on the user beats an attribute
          = user CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example (displayName), change 1 of 1970-01-01T00:00:13Z

    sip.registrar
      10 0 sips:reg.corp.example
          = domain DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    sip.outbound-proxy
      10 0 sips:ber1.corp.example
          = domain DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
          @nearest(outbound-proxy) is OU=Berlin,OU=Europe,DC=corp,DC=example

    sip.expires (s)
      100
          = config
      not 3600: lower layer, replaced by config
          built-in
      not 300: blocked by OU=Berlin,OU=Europe,DC=corp,DC=example
          = OU 1 OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    dial.rule
      no value
      not ^1$ -> 0: nothing in the list to remove
          -= user CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    forward.delay (s)
      50
          = group CN=others,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not 20: lower layer, replaced by CN=sales,DC=corp,DC=example
          built-in
      not 40: order 100: CN=others,DC=corp,DC=example has order 50
          = group CN=sales,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    record.mode
      always
          = OU 1 OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not never: lower layer, replaced by OU=Europe,DC=corp,DC=example
          built-in
      not sometimes: does not parse: `sometimes` does not fit; expected one of `never`, `on-demand`, `always`, for example `never`
          ! OU 1 OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    video.max-height (px)
      1080
          = OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not 1080: lower layer, replaced by OU=Berlin,OU=Europe,DC=corp,DC=example
          built-in
      not 720: another line of the same object comes first
          = OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not 9000: does not parse: 9000 is not between 1 and 8640; expected pixels from 1 to 8640, for example `720`
          = OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    conference.mcu
      no value
      not @nearest(mcu): no server of role mcu in the containers above
          = OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    media.srtp, enforced
      required
          ! domain DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not required: lower layer, replaced by DC=corp,DC=example
          built-in
      not off: not enforced: DC=corp,DC=example enforces another value
          = OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    ntp
      b.example
          += user CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      c.example
          += OU 2 OU=Berlin,OU=Europe,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not a.example: removed by a `-=` line of OU=Berlin,OU=Europe,DC=corp,DC=example
          = domain DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z

    language
      de
          = domain DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not nl: the user is not in `CN=staff,DC=corp,DC=example`
          = domain CN=for-staff,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not it: the user is in `CN=sales,DC=corp,DC=example`, which the object denies
          = domain CN=keep-out,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
      not en: order 200: DC=corp,DC=example has order 100
          = domain CN=late,DC=corp,DC=example, change 1 of 1970-01-01T00:00:13Z
    ");
}

#[test]
fn as_json() {
    let explanation = explained().only("language");
    insta::assert_snapshot!(serde_json::to_string_pretty(&explanation).unwrap(), @r#"
    {
      "user": {
        "id": "00000000-0000-0000-0000-000000000008",
        "dn": "CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example"
      },
      "aor": "sip:anna@corp.example",
      "state": "published",
      "why": null,
      "place": null,
      "policies": [
        {
          "layer": "config",
          "object": null,
          "order": 100,
          "filtered": null
        },
        {
          "layer": "domain",
          "object": {
            "id": "00000000-0000-0000-0000-000000000002",
            "dn": "CN=late,DC=corp,DC=example"
          },
          "order": 200,
          "filtered": null
        },
        {
          "layer": "domain",
          "object": {
            "id": "00000000-0000-0000-0000-000000000003",
            "dn": "CN=for-staff,DC=corp,DC=example"
          },
          "order": 100,
          "filtered": "the user is not in `CN=staff,DC=corp,DC=example`"
        },
        {
          "layer": "domain",
          "object": {
            "id": "00000000-0000-0000-0000-000000000001",
            "dn": "DC=corp,DC=example"
          },
          "order": 100,
          "filtered": null
        },
        {
          "layer": "domain",
          "object": {
            "id": "00000000-0000-0000-0000-000000000004",
            "dn": "CN=keep-out,DC=corp,DC=example"
          },
          "order": 1,
          "filtered": "the user is in `CN=sales,DC=corp,DC=example`, which the object denies"
        },
        {
          "layer": "OU 1",
          "object": {
            "id": "00000000-0000-0000-0000-000000000005",
            "dn": "OU=Europe,DC=corp,DC=example"
          },
          "order": 100,
          "filtered": null
        },
        {
          "layer": "OU 2",
          "object": {
            "id": "00000000-0000-0000-0000-000000000006",
            "dn": "OU=Berlin,OU=Europe,DC=corp,DC=example"
          },
          "order": 100,
          "filtered": null
        },
        {
          "layer": "group",
          "object": {
            "id": "00000000-0000-0000-0000-000000000009",
            "dn": "CN=sales,DC=corp,DC=example"
          },
          "order": 100,
          "filtered": null
        },
        {
          "layer": "group",
          "object": {
            "id": "00000000-0000-0000-0000-00000000000a",
            "dn": "CN=others,DC=corp,DC=example"
          },
          "order": 50,
          "filtered": null
        },
        {
          "layer": "user",
          "object": {
            "id": "00000000-0000-0000-0000-000000000008",
            "dn": "CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example"
          },
          "order": 100,
          "filtered": null
        }
      ],
      "settings": [
        {
          "setting": "language",
          "unit": null,
          "values": [
            {
              "value": "de",
              "source": {
                "layer": "domain",
                "object": {
                  "id": "00000000-0000-0000-0000-000000000001",
                  "dn": "DC=corp,DC=example"
                },
                "attribute": null,
                "operator": "=",
                "order": 100,
                "change": 1,
                "at": "1970-01-01T00:00:13Z"
              }
            }
          ],
          "enforced": false,
          "losers": [
            {
              "value": "nl",
              "source": {
                "layer": "domain",
                "object": {
                  "id": "00000000-0000-0000-0000-000000000003",
                  "dn": "CN=for-staff,DC=corp,DC=example"
                },
                "attribute": null,
                "operator": "=",
                "order": 100,
                "change": 1,
                "at": "1970-01-01T00:00:13Z"
              },
              "reason": "filtered",
              "by": null,
              "text": "the user is not in `CN=staff,DC=corp,DC=example`"
            },
            {
              "value": "it",
              "source": {
                "layer": "domain",
                "object": {
                  "id": "00000000-0000-0000-0000-000000000004",
                  "dn": "CN=keep-out,DC=corp,DC=example"
                },
                "attribute": null,
                "operator": "=",
                "order": 1,
                "change": 1,
                "at": "1970-01-01T00:00:13Z"
              },
              "reason": "filtered",
              "by": null,
              "text": "the user is in `CN=sales,DC=corp,DC=example`, which the object denies"
            },
            {
              "value": "en",
              "source": {
                "layer": "domain",
                "object": {
                  "id": "00000000-0000-0000-0000-000000000002",
                  "dn": "CN=late,DC=corp,DC=example"
                },
                "attribute": null,
                "operator": "=",
                "order": 200,
                "change": 1,
                "at": "1970-01-01T00:00:13Z"
              },
              "reason": "order",
              "by": {
                "id": "00000000-0000-0000-0000-000000000001",
                "dn": "DC=corp,DC=example"
              },
              "text": "order 200: DC=corp,DC=example has order 100"
            }
          ],
          "nearest": []
        }
      ]
    }
    "#);
}

#[test]
fn one_setting_or_those_that_begin_so() {
    let names = |name: &str| explained().only(name).settings.iter().map(|e| e.setting).collect::<Vec<_>>();
    assert_eq!(names("sip.expires"), ["sip.expires"]);
    assert_eq!(names("SIP."), ["sip.registrar", "sip.outbound-proxy", "sip.transport", "sip.expires"]);
    assert_eq!(names("media.max-bandwidth"), ["media.max-bandwidth"], "and not media.max-bandwidth-call");
    assert!(names("colour").is_empty());
}

/// Every kind of loss has a tree that shows it.
#[test]
fn reasons() {
    let reasons: std::collections::BTreeSet<&str> =
        explained().settings.iter().flat_map(|explained| &explained.losers).map(|loser| loser.reason).collect();
    let expect = [
        "blocked",
        "filtered",
        "idle",
        "lower-layer",
        "no-server",
        "not-enforced",
        "order",
        "removed",
        "same-object",
        "unparsable",
        "user-only",
    ];
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), expect);
    // A full list, the last one.
    let mut tree = "domain DC=x\n  | sip.registrar = 10 0 sips:reg.x\n".to_owned();
    tree += &repeated(1000, |n| format!("  | ntp = h{n}.example\n"));
    tree += "  user CN=anna\n    | ntp += one-more.example\n";
    let world = World::new(&tree);
    let explanation = explain(&world.snapshot(), &world.config, world.named("anna"), None).unwrap().only("ntp");
    let [ntp] = explanation.settings.as_slice() else { panic!("one setting") };
    assert_eq!(ntp.values.len(), 1000);
    let lost = |loser: &Loser| (loser.value.clone(), loser.reason);
    assert_eq!(ntp.losers.iter().map(lost).collect::<Vec<_>>(), [("one-more.example".to_owned(), "full")]);
    assert!(world.engine().faults().iter().any(|fault| fault.code == "policy.full"));
}

/// An explanation shows the values that the engine publishes, for everybody in the trees of these tests.
#[test]
fn explains_what_is_published() {
    let world = World::configured(TREE, &["sip.expires = 100"]);
    let engine: Engine = world.engine();
    for resolved in engine.users() {
        let explanation = explain(&world.snapshot(), &world.config, resolved.user, None).unwrap();
        assert_eq!((explanation.state, explanation.aor.as_deref()), ("published", Some(resolved.aor.as_str())));
        let published: Vec<(&str, Vec<String>)> =
            resolved.iter().map(|(s, d)| (s.name(), d.values.iter().map(ToString::to_string).collect())).collect();
        let shown: Vec<(&str, Vec<String>)> = explanation
            .settings
            .iter()
            .filter(|e| !e.values.is_empty())
            .map(|e| (e.setting, e.values.iter().map(|v| v.value.clone()).collect()))
            .collect();
        assert_eq!(shown, published);
    }
}

#[test]
fn why_there_is_no_document() {
    let world = World::new(
        "
        domain DC=corp,DC=example
          nobody CN=anna
          ou OU=a
            | sip.registrar = 10 0 sips:reg.corp.example
            user CN=boris
              mail: one@corp.example
              createTimestamp: 20200101000000Z
            user CN=clara
              mail: one@corp.example
              createTimestamp: 20190101000000Z
          user CN=dora
        ",
    );
    let state = |name: &str| {
        let explanation = explain(&world.snapshot(), &world.config, world.named(name), None).unwrap();
        format!("{} {}", explanation.state, explanation.why.unwrap_or_default())
    };
    assert_eq!(
        state("anna"),
        "no-address none of the attributes SIPIdentitySIPURI, msRTCSIP-PrimaryUserAddress, proxyAddresses, mail holds a SIP address"
    );
    assert_eq!(state("boris"), "withheld sip:one@corp.example belongs to the older entry CN=clara,OU=a,DC=corp,DC=example");
    assert_eq!(state("clara"), "published ");
    assert_eq!(state("dora"), "withheld there is no sip.registrar; the last good document stays");
    assert_eq!(explain(&world.snapshot(), &world.config, world.named("a"), None), None, "an OU is no user");
}

#[test]
fn a_line_knows_the_change_that_brought_it() {
    let mut world = World::new("domain DC=x\n  | sip.registrar = 10 0 sips:reg.x\n  user CN=anna\n    | language = de");
    let mut engine = world.engine();
    let since = |engine: &Engine, setting| engine.users().next().unwrap().get(setting).unwrap().source.generation.0;
    let (language, expires) = (crate::policy::catalogue::Setting::LANGUAGE, crate::policy::catalogue::Setting::SIP_EXPIRES);
    let first = since(&engine, language);
    let mut anna = super::world::drafts("domain DC=x\n  user CN=anna\n    | language = de\n    | sip.expires = 60").remove(1);
    anna.attributes.push(("mail".into(), "anna@corp.example".into()));
    let changes: Vec<_> = world.event(crate::directory::Event::Apply(anna.entry())).into_iter().collect();
    engine.update(&world.snapshot(), &changes);
    assert_eq!(since(&engine, language), first, "the line is the same as before");
    assert_eq!(since(&engine, expires), world.snapshot().generation().0);
}

#[test]
fn users_are_found_by_what_people_call_them() {
    let world = World::new(
        "
        domain DC=corp,DC=example
          ou OU=People
            user CN=Anna Weber
              uid: anna
              cn: Anna Weber
              mail: anna.weber@corp.example
              SIPIdentitySIPURI: sip:anna@corp.example
            user CN=Boris
              sAMAccountName: boris
              userPrincipalName: boris@ad.corp.example
              mail: b@corp.example
              | account.aor = sip:boss@corp.example
            user CN=chris1
              displayName: Chris Smith
            user CN=chris2
              displayName: chris  SMITH
        ",
    );
    let find = |text: &str| find_user(&world.snapshot(), &PolicyConfig::default(), text);
    let anna = world.named("Anna Weber");
    let boris = world.named("Boris");
    for text in [
        "anna",
        "ANNA",
        "sip:anna@corp.example",
        "anna@corp.example",
        "anna.weber@corp.example",
        "anna  weber",
        "cn=anna weber, ou=people, dc=corp, dc=example",
        &anna.to_string(),
    ] {
        assert_eq!(find(text), Ok(anna), "{text}");
    }
    for text in ["boris", "boris@ad.corp.example", "b@corp.example", "sip:boss@corp.example"] {
        assert_eq!(find(text), Ok(boris), "{text}");
    }
    let error = |text: &str| find(text).unwrap_err().to_string();
    insta::assert_snapshot!(error("bori"), @"no user is called `bori` (did you mean boris?); give a uid, an address (sip:anna@corp.example), a name (cn) or a DN");
    insta::assert_snapshot!(error("nobody at all"), @"no user is called `nobody at all`; give a uid, an address (sip:anna@corp.example), a name (cn) or a DN");
    insta::assert_snapshot!(error("chris smith"), @"
    `chris smith` is the name of 2 users; give the DN of one:
      CN=chris1,OU=People,DC=corp,DC=example
      CN=chris2,OU=People,DC=corp,DC=example
    ");
    insta::assert_snapshot!(error("OU=People,DC=corp,DC=example"), @"`OU=People,DC=corp,DC=example` is not a user");
    assert!(matches!(find(""), Err(FindError::Nobody { .. })));
    let users = world.snapshot().iter().filter(|object| object.kind == Kind::User).map(|object| object.id).collect::<Vec<ObjectId>>();
    assert_eq!(users.len(), 4);
}
