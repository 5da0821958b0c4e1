//! Rules 6 to 9 of design §3: filters, values that do not parse, servers; and what a user's attributes say.

use super::world::{check, check_configured};

const FILTERS: &str = "
    domain DC=corp,DC=example
      ou OU=Berlin
        policy CN=allowed
          | filter group:CN=staff,DC=corp,DC=example
          | filter allow group:CN=sales,DC=corp,DC=example
          | filter deny group:CN=contractors,DC=corp,DC=example
          | sip.expires = 100
        policy CN=denied
          | filter deny group:CN=contractors,DC=corp,DC=example
          | language = de
        policy CN=gone
          | filter group:CN=nowhere,DC=corp,DC=example
          | forward.delay = 30
        policy CN=unreadable
          | filter deny group:nobody knows
          | video.max-height = 30
        user CN=anna
        user CN=boris
        user CN=clara
        user CN=dora
      group CN=staff
        member: CN=inner,DC=corp,DC=example
        member: CN=clara,OU=Berlin,DC=corp,DC=example
      group CN=inner
        member: CN=anna,OU=Berlin,DC=corp,DC=example
        member: CN=staff,DC=corp,DC=example
      group CN=sales
        member: CN=boris,OU=Berlin,DC=corp,DC=example
      group CN=contractors
        member: CN=clara,OU=Berlin,DC=corp,DC=example
";

#[test]
fn rule_6_filters_test_transitive_groups_and_deny_beats_allow() {
    let skipped = "forward.delay: 20 (built-in)\nvideo.max-height: 1080 (built-in)\n";
    check(FILTERS, "anna", &format!("{skipped}sip.expires: 100 (OU 1 allowed)\nlanguage: de (OU 1 denied)"));
    check(FILTERS, "boris", &format!("{skipped}sip.expires: 100 (OU 1 allowed)\nlanguage: de (OU 1 denied)"));
    check(FILTERS, "clara", &format!("{skipped}sip.expires: 3600 (built-in)\nlanguage: none"));
    check(FILTERS, "dora", &format!("{skipped}sip.expires: 3600 (built-in)\nlanguage: de (OU 1 denied)"));
}

#[test]
fn rule_6_filters_on_groups_users_and_the_configuration() {
    let tree = "
        domain DC=corp,DC=example
          user CN=anna
            | filter group:CN=b,DC=corp,DC=example
            | language = de
          user CN=boris
            | filter deny group:CN=b,DC=corp,DC=example
            | language = de
          group CN=a
            member: CN=anna,DC=corp,DC=example
            member: CN=boris,DC=corp,DC=example
            | filter deny group:CN=b,DC=corp,DC=example
            | sip.expires = 100
          group CN=b
            member: CN=boris,DC=corp,DC=example
    ";
    let config = ["record.mode = always", "sip.registrar = 10 0 sips:reg.corp.example"];
    check_configured(tree, &config, "anna", "sip.expires: 100 (group a)\nlanguage: none");
    check_configured(tree, &config, "boris", "sip.expires: 3600 (built-in)\nlanguage: none");
}

#[test]
fn rule_7_what_does_not_parse_gives_way_to_the_next_candidate() {
    check(
        "
        domain DC=corp,DC=example
          | sip.expires = 100
          | media.srtp ! required
          | ntp = a.example
          ou OU=Europe
            | media.srtp ! very
            ou OU=Berlin
              | sip.expires = soon
              | ntp = b.example, not a host, c.example
              user CN=anna
                | ntp += also not
                | sip.transport = pigeon
        ",
        "anna",
        "sip.expires: 100 (domain corp)
         media.srtp: required (domain corp)
         ntp: b.example, c.example (OU 2 Berlin)
         sip.transport: tls (built-in)",
    );
    // An enforced value that does not parse enforces nothing.
    check(
        "
        domain DC=corp,DC=example
          | media.srtp ! very
          ou OU=Berlin
            | media.srtp = off
            user CN=anna
        ",
        "anna",
        "media.srtp: off (OU 1 Berlin)",
    );
}

#[test]
fn rule_8_servers_sort_by_priority() {
    check(
        "
        domain DC=corp,DC=example
          | sip.outbound-proxy = 30 0 sips:c.corp.example
          | sip.outbound-proxy = 10 0 sips:a.corp.example
          ou OU=Berlin
            | sip.outbound-proxy += 20 0 sips:b.corp.example
            user CN=anna
        ",
        "anna",
        "sip.outbound-proxy: 10 0 sips:a.corp.example, 20 0 sips:b.corp.example, 30 0 sips:c.corp.example (OU 1 Berlin)",
    );
}

const NEAREST: &str = "
    domain DC=corp,DC=example
      | sip.outbound-proxy = @nearest(outbound-proxy)
      | sip.outbound-proxy += 90 0 sips:last.corp.example
      | net.stun = @nearest(STUN)
      | voicemail.uri = sip:vm@corp.example
      server CN=hq
        | role = outbound-proxy
        | role = stun
        | server = 10 0 sips:hq.corp.example
        | server = 10 0 stun:hq.corp.example
      ou OU=Europe
        device CN=rack
          server CN=eu
            | role = outbound-proxy
            | server = 20 0 sips:eu2.corp.example
            | server = 10 0 sips:eu1.corp.example
        ou OU=Berlin
          user CN=anna
      ou OU=Asia
        server CN=odd
          | role = outbound-proxy
          | server = 10 0 turn:asia.corp.example
        user CN=boris
          | conference.mcu = @nearest(mcu)
          | presence.server = @nearest(mcu)
          | presence.server += 10 0 sips:pres.corp.example
";

#[test]
fn rule_9_nearest_is_the_closest_container_that_has_any() {
    check(
        NEAREST,
        "anna",
        "sip.outbound-proxy: 10 0 sips:eu1.corp.example, 20 0 sips:eu2.corp.example, 90 0 sips:last.corp.example (domain corp)
         net.stun: 10 0 stun:hq.corp.example (domain corp)",
    );
    // A server that the setting cannot use is none; a role that nobody has leaves the next candidate.
    check(
        NEAREST,
        "boris",
        "sip.outbound-proxy: 10 0 sips:hq.corp.example, 90 0 sips:last.corp.example (domain corp)
         conference.mcu: none
         presence.server: 10 0 sips:pres.corp.example (user boris)",
    );
}

#[test]
fn attributes_are_the_lowest_of_the_users_layer() {
    let tree = "
        domain DC=corp,DC=example
          | account.display-name = Everybody
          | sip.outbound-proxy = 10 0 sips:ou.corp.example
          ou OU=Berlin
            | account.auth-user ! shared
            user CN=anna
              SIPIdentitySIPURI: sip:anna@corp.example
              SIPIdentityUserName: aw
              SIPIdentityRegistrarAddress: own.corp.example
              SIPIdentityProxyAddress: sips:own.corp.example
              displayName: Anna Weber
              telephoneNumber: +49 30 1
              | sip.registrar = 20 0 sips:line.corp.example
              | account.tel += tel:+4930999
          group CN=staff
            member: CN=anna,OU=Berlin,DC=corp,DC=example
            | sip.outbound-proxy = 10 0 sips:group.corp.example
    ";
    check(
        tree,
        "anna",
        "account.aor: sip:anna@corp.example (user anna)
         account.display-name: Anna Weber (user anna)
         account.auth-user: shared (OU 1 Berlin)
         account.tel: tel:+49301, tel:+4930999 (user anna)
         sip.registrar: 20 0 sips:line.corp.example (user anna)
         sip.outbound-proxy: 10 0 sips:own.corp.example (user anna)",
    );
}

#[test]
fn an_address_line_on_the_user_is_the_address() {
    let tree = "
        domain DC=corp,DC=example
          user CN=anna
            | account.aor = sip:line@other.example
            telephoneNumber: 77
          nobody CN=boris
            | account.aor = sip:boris@corp.example
          user CN=clara
            | account.aor += sip:reception@corp.example
    ";
    check(tree, "anna", "account.aor: sip:line@other.example (user anna)\naccount.tel: tel:77;phone-context=other.example (user anna)");
    check(tree, "boris", "account.aor: sip:boris@corp.example (user boris)");
    check(tree, "clara", "account.aor: sip:clara@corp.example, sip:reception@corp.example (user clara)");
}

#[test]
fn what_stands_in_no_container_has_the_configuration_and_groups() {
    check_configured(
        "
        other CN=roots
          | sip.expires = 100
          user CN=anna
          group CN=staff
            member: CN=anna,CN=roots
            | language = de
        ",
        &["forward.delay = 44"],
        "anna",
        "sip.expires: 3600 (built-in)
         language: de (group staff)
         forward.delay: 44 (config)",
    );
}
