//! Rules 1 to 5 of design §3: layers, order, lists, enforcement, blocks.

use super::world::{check, check_configured};

#[test]
fn rule_1_the_higher_layer_wins() {
    let tree = "
        domain DC=corp,DC=example
          | sip.expires = 200
          | language = de
          | forward.delay = 30
          | video.max-height = 200
          ou OU=Europe
            | sip.expires = 300
            | language = fr
            | forward.delay = 40
            ou OU=Berlin
              | sip.expires = 400
              | language = it
              user CN=anna
                | sip.expires = 600
          group CN=staff
            member: CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example
            | sip.expires = 500
            | language = es
    ";
    check_configured(
        tree,
        &["sip.expires = 100", "video.max-height = 100", "video.max-bandwidth = 100"],
        "anna",
        "sip.expires: 600 (user anna)
         language: es (group staff)
         forward.delay: 40 (OU 1 Europe)
         video.max-height: 200 (domain corp)
         video.max-bandwidth: 100 (config)
         record.mode: never (built-in)
         dial.rule: none",
    );
}

#[test]
fn rule_1_nearer_ous_win() {
    check(
        "
        domain DC=corp,DC=example
          ou OU=a
            | sip.expires = 100
            | language = de
            ou OU=b
              | sip.expires = 200
              ou OU=c
                | sip.expires = 300
                user CN=anna
        ",
        "anna",
        "sip.expires: 300 (OU 3 c)
         language: de (OU 1 a)",
    );
}

#[test]
fn rule_1_a_domain_below_another_is_one_more_step() {
    check(
        "
        domain DC=example
          | sip.expires = 100
          | language = de
          domain DC=corp
            | sip.expires = 200
            ou OU=b
              user CN=anna
        ",
        "anna",
        "sip.expires: 200 (OU 1 corp)
         language: de (domain example)",
    );
}

#[test]
fn rule_2_the_lowest_order_wins_then_the_lowest_id() {
    check(
        "
        domain DC=corp,DC=example
          policy CN=p1
            | order 20
            | sip.expires = 100
            | language = de
            | video.max-height = 100
          policy CN=p2
            | order 10
            | sip.expires = 200
          policy CN=p3
            | sip.expires = 300
            | language = fr
            | forward.delay = 30
          policy CN=p4
            | forward.delay = 40
          user CN=anna
        ",
        "anna",
        "sip.expires: 200 (domain p2)
         language: de (domain p1)
         video.max-height: 100 (domain p1)
         forward.delay: 30 (domain p3)",
    );
    // The lines on the container itself are one object among the policies in it.
    check(
        "
        domain DC=corp,DC=example
          | sip.expires = 100
          | order 50
          policy CN=p1
            | order 40
            | sip.expires = 200
          user CN=anna
        ",
        "anna",
        "sip.expires: 200 (domain p1)",
    );
}

#[test]
fn rule_2_nesting_of_groups_never_counts() {
    // anna is in inner directly, and in outer through it: only order counts.
    let tree = |inner: &str, outer: &str| {
        format!(
            "
            domain DC=corp,DC=example
              user CN=anna
              group CN=inner
                member: CN=anna,DC=corp,DC=example
                | order {inner}
                | sip.expires = 100
              group CN=outer
                member: CN=inner,DC=corp,DC=example
                | order {outer}
                | sip.expires = 200
            "
        )
    };
    check(&tree("10", "20"), "anna", "sip.expires: 100 (group inner)");
    check(&tree("20", "10"), "anna", "sip.expires: 200 (group outer)");
    check(&tree("10", "10"), "anna", "sip.expires: 100 (group inner)");
}

#[test]
fn rule_2_policies_inside_a_group_count_among_the_groups() {
    check(
        "
        domain DC=corp,DC=example
          user CN=anna
            lines CN=mine
              | language = it
          group CN=staff
            member: CN=anna,DC=corp,DC=example
            | order 30
            | sip.expires = 100
            policy CN=p
              | order 20
              | sip.expires = 200
              | language = de
        ",
        "anna",
        "sip.expires: 200 (group p)
         language: it (user mine)",
    );
}

#[test]
fn rule_3_lists_from_low_to_high() {
    let tree = "
        domain DC=corp,DC=example
          | dial.rule = ^0$ -> 1
          | ntp = a.example, b.example
          | media.audio -= PCMU
          ou OU=Berlin
            | ntp += c.example
            | ntp -= a.example
            | acl = allow contact any
            user CN=anna
              | ntp += a.example
              | acl += deny contact domain:spam.example
              | media.audio += G729
          ou OU=Paris
            | ntp = d.example
            user CN=boris
    ";
    check(
        tree,
        "anna",
        "ntp: b.example, c.example, a.example (user anna)
         acl: allow contact any, deny contact domain:spam.example (user anna)
         media.audio: opus, G722, PCMA, G729 (user anna)
         dial.rule: ^0$ -> 1 (domain corp)",
    );
    check(tree, "boris", "ntp: d.example (OU 1 Paris)");
}

#[test]
fn rule_3_an_element_that_is_there_takes_its_new_form() {
    check(
        "
        domain DC=corp,DC=example
          | sip.outbound-proxy = 10 50 sips:a.corp.example
          | sip.outbound-proxy = 20 50 sips:b.corp.example
          | dial.rule = ^0$ -> 1
          ou OU=Berlin
            | sip.outbound-proxy += 30 1 sips:A.corp.example
            | dial.rule += ^0$ -> 2
            user CN=anna
        ",
        "anna",
        "sip.outbound-proxy: 20 50 sips:b.corp.example, 30 1 sips:a.corp.example (OU 1 Berlin)
         dial.rule: ^0$ -> 2 (OU 1 Berlin)",
    );
}

#[test]
fn rule_3_within_a_layer_the_winner_goes_last() {
    check(
        "
        domain DC=corp,DC=example
          policy CN=p1
            | order 10
            | ntp += a.example
            | media.audio = opus
          policy CN=p2
            | order 20
            | ntp = b.example
            | media.audio += G729
          user CN=anna
        ",
        "anna",
        "ntp: b.example, a.example (domain p1)
         media.audio: opus (domain p1)",
    );
}

#[test]
fn rule_3_an_empty_list_and_unset() {
    check(
        "
        domain DC=corp,DC=example
          | ntp = a.example
          | media.audio = G729
          | media.video = H265
          | video.enabled = false
          | dial.country = DE
          ou OU=Berlin
            | ntp =
            | media.audio unset
            | video.enabled unset
            | dial.country unset
            | media.video unset
            | media.video += AV1
            user CN=anna
        ",
        "anna",
        "ntp: none
         media.audio: opus, G722, PCMA, PCMU (OU 1 Berlin)
         media.video: H264, VP8, AV1 (OU 1 Berlin)
         video.enabled: true (OU 1 Berlin)
         dial.country: none",
    );
}

#[test]
fn rule_4_enforced_beats_what_is_not() {
    check(
        "
        domain DC=corp,DC=example
          | media.srtp ! required
          | ntp ! a.example
          | ntp += b.example
          | language = de
          ou OU=Berlin
            | media.srtp = off
            | ntp += c.example
            | ntp -= a.example
            | language ! fr
            user CN=anna
              | media.srtp unset
              | ntp = d.example
              | language = it
        ",
        "anna",
        "media.srtp: required (domain corp)
         ntp: a.example, b.example (domain corp)
         language: fr (OU 1 Berlin)",
    );
}

#[test]
fn rule_4_among_enforced_the_outermost_wins() {
    let tree = "
        domain DC=corp,DC=example
          ou OU=a
            | media.srtp ! off
            ou OU=b
              | media.srtp ! preferred
              | language ! fr
              user CN=anna
                | language ! it
          group CN=staff
            member: CN=anna,OU=b,OU=a,DC=corp,DC=example
            | media.srtp ! required
            | language ! es
            | sip.expires ! 300
    ";
    check(tree, "anna", "media.srtp: off (OU 1 a)\nlanguage: fr (OU 2 b)\nsip.expires: 300 (group staff)");
    check_configured(tree, &["media.srtp ! required"], "anna", "media.srtp: required (config)");
}

#[test]
fn rule_4_within_a_layer_enforced_first_then_order() {
    check(
        "
        domain DC=corp,DC=example
          policy CN=p1
            | order 10
            | media.srtp = off
            | language ! de
          policy CN=p2
            | order 20
            | media.srtp ! required
            | language ! fr
          user CN=anna
        ",
        "anna",
        "media.srtp: required (domain p2)
         language: de (domain p1)",
    );
}

#[test]
fn rule_5_block_drops_what_comes_from_outside() {
    let tree = |block: &str| {
        format!(
            "
            domain DC=corp,DC=example
              | sip.expires = 100
              | media.srtp ! required
              | language = de
              | ntp = a.example
              | emergency.number = 112
              ou OU=Europe
                | sip.expires = 200
                | ntp += b.example
                ou OU=Berlin
                  | {block}
                  | language += fr
                  | ntp += c.example
                  | media.srtp = off
                  user CN=anna
              group CN=staff
                member: CN=anna,OU=Berlin,OU=Europe,DC=corp,DC=example
                | forward.delay = 33
            "
        )
    };
    let config = ["sip.expires = 50", "record.mode = always"];
    check_configured(
        &tree("block"),
        &config,
        "anna",
        "sip.expires: 50 (config)
         record.mode: always (config)
         media.srtp: required (domain corp)
         language: none
         ntp: c.example (OU 2 Berlin)
         emergency.number: 112 (domain corp)
         forward.delay: 33 (group staff)",
    );
    check_configured(
        &tree("block=sip."),
        &config,
        "anna",
        "sip.expires: 50 (config)
         language: de (domain corp)
         ntp: a.example, b.example, c.example (OU 2 Berlin)
         emergency.number: 112 (domain corp)",
    );
}

#[test]
fn rule_5_a_block_that_does_not_apply_blocks_nothing() {
    check(
        "
        domain DC=corp,DC=example
          | sip.expires = 100
          ou OU=Berlin
            policy CN=p
              | block
              | filter group:CN=staff,DC=corp,DC=example
            user CN=anna
            user CN=boris
          group CN=staff
            member: CN=boris,OU=Berlin,DC=corp,DC=example
        ",
        "anna",
        "sip.expires: 100 (domain corp)",
    );
}
