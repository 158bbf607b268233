//! Who gets in, and what they reach.

use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::Channel;

use super::world::{BOTH, By, Device, DeviceThree, World, event};

#[tokio::test]
async fn strangers_are_refused() {
    for by in BOTH {
        let world = World::start(by).await;
        let refused = (world.refused("login").await, world.refused("client_id").await);
        let known = &world.one;
        for (user, secret) in
            [("one", "wrong"), ("one", world.two.secret.as_str()), ("nobody", &known.secret), ("one", "")]
        {
            let stranger = Credential { secret: secret.to_owned(), ..known.clone() };
            let mut options = world.options(&stranger);
            options.set_credentials(user, secret);
            assert!(Device::connect(options).await.is_err(), "{user} {by:?}");
            let mut options = rumqttc::MqttOptions::new("one", "127.0.0.1", world.port());
            options.set_credentials(user, secret);
            assert!(DeviceThree::connect(options).await.is_err(), "{user} {by:?} 3.1.1");
        }
        let anonymous = rumqttc::v5::MqttOptions::new("one", "127.0.0.1", world.port());
        assert!(Device::connect(anonymous).await.is_err(), "{by:?}");
        let anonymous = rumqttc::MqttOptions::new("one", "127.0.0.1", world.port());
        assert!(DeviceThree::connect(anonymous).await.is_err(), "{by:?}");
        if by == By::Own {
            // Mosquitto takes the user's name for the client id, whatever it is.
            let mut options = rumqttc::v5::MqttOptions::new("two", "127.0.0.1", world.port());
            options.set_credentials("one", &known.secret);
            assert!(Device::connect(options).await.is_err());
            assert_eq!(
                (world.refused("login").await, world.refused("client_id").await),
                (refused.0 + 10.0, refused.1 + 1.0)
            );
        }
        world.connect(known).await;
    }
}

#[tokio::test]
async fn what_is_published_elsewhere_reaches_nobody() {
    for by in BOTH {
        let world = World::start(by).await;
        let (mut one, mut two) = (world.connect(&world.one).await, world.connect(&world.two).await);
        let foreign = [
            world.two.topic(Channel::Event),
            world.two.topic(Channel::State),
            world.two.topic(Channel::Receipt),
            world.one.topic(Channel::Receipt),
            world.one.topic(Channel::Command),
            world.one.topic(Channel::Event).replace("north", "south"),
            world.one.topic(Channel::Event).replace("/bin/", "/camera/"),
            "elsewhere".to_owned(),
        ];
        let payload = event(1, 1).to_string();
        for topic in &foreign {
            assert!(!one.publish(topic, false, payload.clone()).await, "{topic} {by:?}");
            assert!(!one.publish(topic, true, payload.clone()).await, "{topic} {by:?}");
        }
        // A connection goes on after a refusal, and the first thing that each hears is its own receipt.
        for (device, credential) in [(&mut one, &world.one), (&mut two, &world.two)] {
            assert!(device.publish(&credential.topic(Channel::Event), false, event(5, 1).to_string()).await);
            assert_eq!(device.receipt().await["boot"], 5);
            assert_eq!(world.stored(credential), [(1, 5, 1)]);
        }
        drop(one);
        let mut one = world.connect_three(&world.one).await;
        for topic in &foreign {
            one.publish(topic, payload.clone()).await;
        }
        one.publish(&world.one.topic(Channel::Event), event(6, 1).to_string()).await;
        assert_eq!(one.receipt().await["boot"], 6);
        assert!(two.publish(&world.two.topic(Channel::Event), false, event(6, 1).to_string()).await);
        assert_eq!(two.receipt().await["boot"], 6);
        assert_eq!(world.stored(&world.two), [(1, 5, 1), (1, 6, 1)]);
        assert!(world.device(&world.two).await["online"] == false);
        assert_eq!(world.get("quarantine").await["items"].as_array().unwrap().len(), 0);
        if by == By::Own {
            assert_eq!(world.refused("publish").await, 3.0 * foreign.len() as f64);
        }
    }
}

#[tokio::test]
async fn nobody_listens_to_others() {
    let world = World::start(By::Own).await;
    let foreign = [
        "#".to_owned(),
        "$SYS/#".to_owned(),
        "fenlei/v1/#".to_owned(),
        "fenlei/v1/+/+/one/receipt".to_owned(),
        "fenlei/v1/north/bin/one/+".to_owned(),
        "$share/g/#".to_owned(),
        format!("$share/g/{}", world.two.topic(Channel::Receipt)),
        world.two.topic(Channel::Receipt),
        world.two.topic(Channel::Event),
        world.one.topic(Channel::Event),
    ];
    let (mut five, count) = (world.connect(&world.one).await, foreign.len() as f64);
    for filter in &foreign {
        assert!(!five.subscribe(filter).await, "{filter}");
    }
    for own in [Channel::Command, Channel::Config] {
        assert!(five.subscribe(&world.one.topic(own)).await);
    }
    drop(five);
    let mut three = world.connect_three(&world.one).await;
    for filter in &foreign {
        assert!(!three.subscribe(filter).await, "{filter} 3.1.1");
    }
    assert_eq!(world.refused("subscribe").await, 2.0 * count);
}
