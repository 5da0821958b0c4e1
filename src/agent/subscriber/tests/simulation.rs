//! Notifier and subscribers on a bad network: versions never go back, nobody gets another's document, and in the end everybody
//! holds the newest.

use proptest::prelude::*;

use super::world::World;
use crate::agent::subscriber::Phase;
use crate::sip::Transport;

const USERS: [&str; 3] = ["anna", "ben", "carl"];

#[derive(Debug, Clone)]
enum Step {
    Publish { user: usize },
    Pass { seconds: u16 },
    Loss { percent: u8 },
    Refuse { refuse: bool },
    Leave { phone: usize },
    Join { user: usize, tcp: bool },
    Drain,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..USERS.len()).prop_map(|user| Step::Publish { user }),
        6 => (0..400_u16).prop_map(|seconds| Step::Pass { seconds }),
        2 => (0..90_u8).prop_map(|percent| Step::Loss { percent }),
        1 => any::<bool>().prop_map(|refuse| Step::Refuse { refuse }),
        1 => (0..6_usize).prop_map(|phone| Step::Leave { phone }),
        2 => (0..USERS.len(), any::<bool>()).prop_map(|(user, tcp)| Step::Join { user, tcp }),
        1 => Just(Step::Drain),
    ]
}

/// The owner and the version of a document.
fn read(body: &str) -> (String, u32) {
    let mut parts = body.split([' ', '<', '/', '>']).filter(|part| !part.is_empty());
    (parts.next().unwrap().to_owned(), parts.next().unwrap().parse().unwrap())
}

fn check(world: &World, owners: &[&str]) {
    for (phone, owner) in world.phones.iter().zip(owners) {
        let mut last = 0;
        for document in &phone.documents {
            let (user, version) = read(std::str::from_utf8(&document.body).unwrap());
            assert_eq!(&user, owner, "another's document");
            assert!(version >= last, "version {version} after {last}");
            last = version;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn everybody_holds_the_newest_in_the_end(seed in any::<u64>(), steps in prop::collection::vec(steps(), 1..30)) {
        let mut world = World::new(seed);
        let mut versions = [1_u32; USERS.len()];
        let mut owners = Vec::new();
        let padding = |version: u32| " ".repeat(if version.is_multiple_of(3) { 2_000 } else { 10 });
        for user in USERS {
            world.publish(user, &format!("<{user} 1/>"));
            owners.push(user);
            world.phone(user, if user == "ben" { Transport::Tcp } else { Transport::Udp }, |config| config.expires_s = 600);
        }
        for step in steps {
            match step {
                Step::Publish { user } => {
                    versions[user] += 1;
                    world.publish(USERS[user], &format!("<{} {}/>{}", USERS[user], versions[user], padding(versions[user])));
                }
                Step::Pass { seconds } => world.pass(f64::from(seconds) / 2.0),
                Step::Loss { percent } => world.loss = f64::from(percent) / 100.0,
                Step::Refuse { refuse } => world.phones_accept = !refuse,
                Step::Leave { phone } => {
                    let now = world.now;
                    if let Some(phone) = world.phones.get_mut(phone) {
                        phone.subscriber.unsubscribe(now);
                    }
                }
                Step::Join { user, tcp } if world.phones.len() < 6 => {
                    owners.push(USERS[user]);
                    world.phone(USERS[user], if tcp { Transport::Tcp } else { Transport::Udp }, |config| config.expires_s = 600);
                }
                Step::Join { .. } => {}
                Step::Drain => world.notifier.drain(world.now),
            }
            check(&world, &owners);
        }
        world.loss = 0.0;
        world.phones_accept = true;
        let newest = versions;
        let holders = owners.clone();
        // The longest back-off (2^8·64·T1, and a tenth), and the refreshes and timeouts round it.
        world.until(12_000, |world| {
            world.phones.iter().zip(&holders).all(|(phone, owner)| {
                let index = USERS.iter().position(|user| user == owner).unwrap();
                match phone.subscriber.phase() {
                    Phase::Over => true,
                    Phase::Open => read(phone.holds()) == ((*owner).to_owned(), newest[index]),
                    _ => false,
                }
            })
        });
        check(&world, &owners);
        let open = world.phones.iter().filter(|phone| phone.subscriber.phase() == Phase::Open).count();
        world.until(700, |world| world.notifier.subscriptions() == open);
        prop_assert!(world.at() < 20_000);
    }
}
