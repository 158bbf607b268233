//! The program itself as `fenlei serve`, in a folder and on ports that stay its own however often it is killed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::ports::free_port;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) struct Backend {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    process: Option<Child>,
    client: Client,
    pub(crate) http: u16,
    pub(crate) mqtt: u16,
}

impl Backend {
    /// Starts it in a folder, with its own broker or with the one that `url` names.
    pub(crate) fn start(folder: &Folder, url: Option<&str>) -> Self {
        Self::start_with(folder, url, Vec::new())
    }

    /// The same with settings of its own, as variables of the environment.
    pub(crate) fn start_with(folder: &Folder, url: Option<&str>, settings: Vec<(&'static str, String)>) -> Self {
        let [http, mqtt] = [(); 2].map(|()| free_port());
        let mut environment = vec![
            ("FENLEI__HTTP__LISTEN", format!("127.0.0.1:{http}")),
            ("FENLEI__MQTT__LISTEN", format!("127.0.0.1:{mqtt}")),
        ];
        environment.extend(folder.environment());
        environment.extend(url.map(|url| ("FENLEI__MQTT__URL", url.to_owned())));
        environment.extend(settings);
        let client = Client::builder().no_proxy().build().unwrap();
        let mut backend = Self { folder: folder.path(""), environment, process: None, client, http, mqtt };
        backend.start_again();
        backend
    }

    pub(crate) fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.folder.join("serve.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("FENLEI__")) {
            command.env_remove(name);
        }
        command.current_dir(&self.folder).arg("serve").envs(self.environment.iter().cloned());
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Comes back when it takes events in.
    pub(crate) async fn ready(&mut self) {
        let ready = async {
            while !self.is_ready().await {
                let ended = self.process.as_mut().unwrap().try_wait().unwrap();
                assert_eq!(ended, None, "it ended by itself: {}", self.log());
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
    }

    async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("http://127.0.0.1:{}/readyz", self.http)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// What it answers outside the API.
    pub(crate) async fn outside(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.base())).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// `kill -9`; says whether it still ran.
    pub(crate) fn kill(&mut self) -> bool {
        let Some(mut process) = self.process.take() else { return false };
        let ran = process.try_wait().unwrap().is_none();
        process.kill().unwrap();
        process.wait().unwrap();
        ran
    }

    /// Comes back when it has ended by itself, with its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let process = self.process.as_mut().unwrap();
        let ended = async {
            loop {
                if let Some(status) = process.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(2 * PATIENCE, ended).await.expect("it ends")
    }

    /// Its process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// What it has logged, of all its starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("serve.log")).unwrap()
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Value {
        self.call(token, Method::GET, path, None).await
    }

    pub(crate) async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let address = format!("http://127.0.0.1:{}/api/v1/{path}", self.http);
        let request = self.client.request(method, address).bearer_auth(token);
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A counter as it stands, 0 before it counted anything.
    pub(crate) async fn counter(&self, name: &str) -> f64 {
        let ask = || self.client.get(format!("http://127.0.0.1:{}/metrics", self.http)).send();
        let answer = match ask().await {
            Ok(answer) => answer,
            // The connection that was kept was just being closed.
            Err(_) => ask().await.unwrap(),
        };
        let text = answer.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}
