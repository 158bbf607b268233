//! The image of a device.

#![no_std]
#![no_main]

use embassy_executor::{Executor, Spawner};
use embassy_futures::select::select;
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::Timer;
use static_cell::{ConstStaticCell, StaticCell};

use fenlei_node::board::{self, Network, Parts};
use fenlei_node::device::Device;
use fenlei_node::line::{self, Room};
use fenlei_node::settings::Settings;
use fenlei_node::watchdog::{self, Task};
use fenlei_node::{console, memory, say};

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static SETTINGS: StaticCell<Settings> = StaticCell::new();
static DEVICE: StaticCell<Device> = StaticCell::new();
static SOCKETS: StaticCell<StackResources<1>> = StaticCell::new();
static ROOM: ConstStaticCell<Room> = ConstStaticCell::new(Room::new());

#[riscv_rt::entry]
fn main() -> ! {
    memory::paint();
    EXECUTOR.init(Executor::new()).run(|spawner| {
        spawner.spawn(start(spawner).unwrap_or_else(|_| panic!("no room for the first task")));
    })
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let settings = match board::settings() {
        Ok(settings) => SETTINGS.init(settings),
        Err(mistake) => {
            say!("not provisioned: {mistake}");
            board::exit(false);
        }
    };
    let Parts { flash, network, address } = board::start();
    let room = ROOM.take();
    let device = DEVICE.init_with(|| Device::start(settings, flash, &mut room.inbound));
    let (stack, runner) = embassy_net::new(network, address, SOCKETS.init(StackResources::new()), board::seed());
    spawner.spawn(carry(runner).unwrap_or_else(|_| panic!("no room for the network")));
    spawner.spawn(console::run().unwrap_or_else(|_| panic!("no room for the console")));
    spawner.spawn(live(device, stack, room).unwrap_or_else(|_| panic!("no room for the device")));
}

/// The device itself.
#[embassy_executor::task]
async fn live(device: &'static mut Device, stack: Stack<'static>, room: &'static mut Room) -> ! {
    line::keep(device, stack, room).await
}

/// Carries the frames of the network.
#[embassy_executor::task]
async fn carry(mut runner: Runner<'static, Network>) -> ! {
    let checks = async {
        loop {
            watchdog::check_in(Task::Network);
            Timer::after_secs(1).await;
        }
    };
    match select(runner.run(), checks).await {}
}
