//! The image of a device.

#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_futures::select::select3;
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::Timer;
use static_cell::{ConstStaticCell, StaticCell};

use fenlei_node::board::{self, Executor, Link, Network, Parts, SOCKETS};
use fenlei_node::device::Device;
use fenlei_node::line::{self, Room};
use fenlei_node::settings::Settings;
use fenlei_node::watchdog::{self, Task};
use fenlei_node::{console, memory, say};

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static SETTINGS: StaticCell<Settings> = StaticCell::new();
static DEVICE: StaticCell<Device> = StaticCell::new();
/// Those of the board, and the line to the broker.
static STACK: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();
static ROOM: ConstStaticCell<Room> = ConstStaticCell::new(Room::new());

#[board::entry]
fn main() -> ! {
    memory::paint();
    EXECUTOR.init(Executor::new()).run(begin)
}

/// Starts the board, and then the device on it. Apart from the tasks, whose stack would lie on top of what this takes.
#[inline(never)]
fn begin(spawner: Spawner) {
    let Parts { settings, flash, address } = board::start();
    let (settings, network, link) = match settings {
        Ok((settings, network, link)) => (SETTINGS.init(settings), network, link),
        Err(mistake) => {
            say!("not provisioned: {mistake}");
            board::exit(false);
        }
    };
    let room = ROOM.take();
    let device = DEVICE.init_with(|| Device::start(settings, flash, &mut room.inbound));
    let (stack, runner) = embassy_net::new(network, address, STACK.init(StackResources::new()), board::seed());
    spawner.spawn(carry(runner, link, stack).unwrap_or_else(|_| panic!("no room for the network")));
    spawner.spawn(console::run().unwrap_or_else(|_| panic!("no room for the console")));
    spawner.spawn(live(device, stack, room).unwrap_or_else(|_| panic!("no room for the device")));
}

/// The device itself.
#[embassy_executor::task]
async fn live(device: &'static mut Device, stack: Stack<'static>, room: &'static mut Room) -> ! {
    line::keep(device, stack, room).await
}

/// Carries the frames of the network, and keeps it up.
#[embassy_executor::task]
async fn carry(mut runner: Runner<'static, Network>, link: Link, stack: Stack<'static>) -> ! {
    let checks = async {
        loop {
            watchdog::check_in(Task::Network);
            Timer::after_secs(1).await;
        }
    };
    match select3(runner.run(), link.keep(stack), checks).await {}
}
