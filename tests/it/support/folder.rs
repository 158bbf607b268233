//! A working folder, and the real program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fenlei::credentials;
use fenlei::domain::registry::{Organization, OrganizationKind};
use fenlei::store::registry::{DeviceFields, SiteFields};
use fenlei::store::sql::Connection;
use fenlei::store::{self, registry};
use fenlei_wire::vocabulary::DeviceKind;

use super::place::Place;

/// A working folder with a store of one community, one site and the bin `bin-1`.
pub(crate) struct Folder {
    place: Place,
    pub(crate) secret: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self::at(Place::new())
    }

    pub(crate) fn at(place: Place) -> Self {
        let (secret, password) = credentials::generate().unwrap();
        let store = store::open_beside(place.url()).unwrap();
        let committee = Organization { id: "jwh".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
        registry::put_organization(&store, &committee).unwrap();
        let zone = "Asia/Shanghai".parse().unwrap();
        registry::put_community(&store, "garden", "花园小区", "jwh", zone).unwrap();
        let site = SiteFields { id: "north", community: "garden", name: "北", zone, latitude: None, longitude: None };
        registry::put_site(&store, &registry::load(&store).unwrap(), &site).unwrap();
        for (id, password) in [("bin-1", password.as_str()), ("bin-2", &credentials::generate().unwrap().1)] {
            let device = DeviceFields { id, site: "north", kind: DeviceKind::Bin, name: None, streams: None, password };
            registry::put_device(&store, &registry::load(&store).unwrap(), &device).unwrap();
        }
        Self { place, secret }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn store(&self) -> Connection {
        store::open_beside(self.place.url()).unwrap()
    }

    pub(crate) fn fenlei(&self, arguments: &[&str]) -> Output {
        let environment = self.place.environment();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fenlei(self.place.path(), arguments, &environment)
    }

    /// What a program must be told to find the store, if it would not by itself.
    pub(crate) fn environment(&self) -> Option<(&'static str, String)> {
        self.place.environment()
    }

    /// The same with its store in another place.
    pub(crate) fn moved(self, place: Place) -> Self {
        std::fs::copy(self.path("fenlei.card-key"), place.path().join("fenlei.card-key")).unwrap();
        Self { place, secret: self.secret }
    }

    /// Whether its store is a file, of which there are backups.
    pub(crate) fn is_file(&self) -> bool {
        self.place.is_file()
    }

    pub(crate) fn url(&self) -> store::StoreUrl {
        self.place.url()
    }

    /// Runs a command that is to succeed, and answers its standard output.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.fenlei(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that is to fail without an answer; gives its exit code and what it says.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.fenlei(arguments);
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        (output.status.code().unwrap(), text(&output.stderr))
    }
}

/// Runs the program in a folder, with no settings in the environment but these.
pub(crate) fn fenlei(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("FENLEI__"));
    for name in ours {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).envs(environment.iter().copied()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
