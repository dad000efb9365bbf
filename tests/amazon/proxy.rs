//! A proxy in front of moto that sees each call, and can be in its way.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::cloud::Account;
use super::http::{self, Message, form_value};
use ingot_test_support::eventually;

/// What is done about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It passes.
    Forward,
    /// It passes after a while.
    Delay(Duration),
    /// It passes when the call with this action, and this number, was answered.
    After(&'static str, usize),
    /// It does not pass; the answer is an error of this status and code.
    Refuse(u16, &'static str),
    /// The connection breaks before the call gets anywhere.
    CutBefore,
    /// It passes, but its answer is lost.
    CutAfter,
    /// It passes, and the process that makes it gets a signal before it gets the answer.
    Signal(Signal),
}

/// A call, as the proxy sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// The action, such as `RunInstances`.
    pub action: String,
    /// How many calls with this action there were before.
    pub nth: usize,
}

type Plan = dyn Fn(&Call) -> Act + Send + Sync;
type Watcher = dyn Fn(&Message) + Send + Sync;
/// Changes a request before moto gets it, or an answer of moto.
pub(crate) type Edit = dyn Fn(&Call, &str) -> Option<String> + Send + Sync;

/// Answers a call in moto's place.
pub(crate) type StandIn = dyn Fn(&Call, &Message) -> Option<Message> + Send + Sync;

/// A running proxy.
pub(crate) struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    account: Mutex<Account>,
    request: Mutex<Option<Box<Edit>>>,
    answer: Mutex<Option<Box<Edit>>>,
    stand_in: Mutex<Option<Box<StandIn>>>,
    plan: Mutex<Arc<Plan>>,
    watcher: Box<Watcher>,
    calls: Mutex<Vec<Call>>,
    answered: Mutex<Vec<Call>>,
    /// How often something other than [`Act::Forward`] was done.
    acted: AtomicUsize,
    under_way: AtomicUsize,
    /// The process that signals are for; 0 as long as it is not known.
    process: AtomicU32,
    closed: AtomicBool,
}

impl Proxy {
    /// A proxy for one account, which does what `plan` says. `watcher` sees all answers of moto.
    pub(crate) fn start(
        account: &Account,
        plan: impl Fn(&Call) -> Act + Send + Sync + 'static,
        watcher: impl Fn(&Message) + Send + Sync + 'static,
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            account: Mutex::new(account.clone()),
            request: Mutex::default(),
            answer: Mutex::default(),
            stand_in: Mutex::default(),
            plan: Mutex::new(Arc::new(plan)),
            watcher: Box::new(watcher),
            calls: Mutex::default(),
            answered: Mutex::default(),
            acted: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            process: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.closed.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Proxy { port, state }
    }

    /// Where signals go to.
    pub(crate) fn process(&self, pid: u32) {
        self.state.process.store(pid, Ordering::SeqCst);
    }

    /// Lets everything pass from now on.
    pub(crate) fn disarm(&self) {
        *self.state.plan.lock().expect("no thread panics with it") = Arc::new(|_| Act::Forward);
    }

    /// Has calls be those of another account from now on.
    pub(crate) fn switch(&self, account: &Account) {
        *self.state.account.lock().expect("no thread panics with it") = account.clone();
    }

    /// Changes the bodies of requests: `edit` answers with a new one.
    pub(crate) fn edit_requests(
        &self,
        edit: impl Fn(&Call, &str) -> Option<String> + Send + Sync + 'static,
    ) {
        *self.state.request.lock().expect("no thread panics with it") = Some(Box::new(edit));
    }

    /// Changes the bodies of answers.
    pub(crate) fn edit_answers(
        &self,
        edit: impl Fn(&Call, &str) -> Option<String> + Send + Sync + 'static,
    ) {
        *self.state.answer.lock().expect("no thread panics with it") = Some(Box::new(edit));
    }

    /// Answers calls that moto does not know. None of `answer` leaves a call to moto.
    pub(crate) fn stand_in(
        &self,
        answer: impl Fn(&Call, &Message) -> Option<Message> + Send + Sync + 'static,
    ) {
        *self.state.stand_in.lock().expect("no thread panics with it") = Some(Box::new(answer));
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().expect("no thread panics with it").clone()
    }

    /// How often a call did not simply pass.
    pub(crate) fn acted(&self) -> usize {
        self.state.acted.load(Ordering::SeqCst)
    }

    /// Waits until no call is on its way to moto any more.
    pub(crate) fn settle(&self) {
        eventually("all calls are answered", || self.state.under_way.load(Ordering::SeqCst) == 0);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // Wakes up the thread that takes connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn serve(&self, stream: TcpStream) {
        let Ok(mut answers) = stream.try_clone() else { return };
        let mut requests = BufReader::new(stream);
        while let Ok(Some(request)) = http::read(&mut requests) {
            self.under_way.fetch_add(1, Ordering::SeqCst);
            let answer = self.answer(&request);
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            // A connection that is closed without an answer is one that was cut.
            let Some(answer) = answer else { return };
            if answer.write(&mut answers).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Message) -> Option<Message> {
        let call = self.note(request);
        let answer = self.act(&call, request);
        self.answered.lock().expect("no thread panics with it").push(call);
        answer
    }

    fn act(&self, call: &Call, request: &Message) -> Option<Message> {
        let plan = Arc::clone(&*self.plan.lock().expect("no thread panics with it"));
        let act = plan(call);
        if act != Act::Forward {
            self.acted.fetch_add(1, Ordering::SeqCst);
        }
        match act {
            Act::Forward => {}
            Act::Delay(time) => std::thread::sleep(time),
            Act::After(action, nth) => {
                let other = Call { action: action.to_owned(), nth };
                eventually(format_args!("{other:?} is answered"), || {
                    self.answered.lock().expect("no thread panics with it").contains(&other)
                });
            }
            Act::Refuse(status, code) => return Some(refusal(status, code)),
            Act::CutBefore => return None,
            Act::CutAfter => {
                self.forward(call, request);
                return None;
            }
            Act::Signal(signal) => {
                // Before what the process does next: moto stops an instance that was terminated
                // meanwhile, which AWS refuses.
                let answer = self.forward(call, request);
                self.send(signal);
                std::thread::sleep(Duration::from_millis(50));
                return answer;
            }
        }
        self.forward(call, request)
    }

    fn note(&self, request: &Message) -> Call {
        let target = request.header("x-amz-target").and_then(|text| text.rsplit('.').next());
        let action = match target {
            Some(target) => target.to_owned(),
            None if !request.head.contains(" / HTTP/") => s3_action(&request.head),
            None => form_value(&request.text(), "Action").unwrap_or_default(),
        };
        let mut calls = self.calls.lock().expect("no thread panics with it");
        let nth = calls.iter().filter(|call| call.action == action).count();
        let call = Call { action, nth };
        calls.push(call.clone());
        call
    }

    fn forward(&self, call: &Call, request: &Message) -> Option<Message> {
        let stand_in = self.stand_in.lock().expect("no thread panics with it");
        if let Some(answer) = stand_in.as_ref().and_then(|stand_in| stand_in(call, request)) {
            return Some(answer);
        }
        drop(stand_in);
        let account = self.account.lock().expect("no thread panics with it").clone();
        let mut request = request.clone().with("x-moto-account-id", &account.id);
        if let Some(body) = edited(&self.request, call, &request) {
            request =
                request.without("content-length").with("Content-Length", &body.len().to_string());
            request.body = body;
        }
        let mut answer = http::ask(account.port, &request).ok()?;
        if let Some(body) = edited(&self.answer, call, &answer) {
            answer.body = body;
        }
        (self.watcher)(&answer);
        // The connection to the client stays.
        if request.head.starts_with("HEAD ") {
            return Some(answer.without("connection"));
        }
        let length = answer.body.len().to_string();
        let answer = answer.without("connection").without("content-length");
        Some(answer.with("Content-Length", &length))
    }

    fn send(&self, signal: Signal) {
        let pid = eventually("somebody says whom to send the signal to", || {
            let pid = i32::try_from(self.process.load(Ordering::SeqCst)).ok();
            pid.and_then(Pid::from_raw)
        });
        let _ = kill_process(pid, signal);
    }
}

/// What a request of S3 asks for, by the name that S3 has for it.
fn s3_action(head: &str) -> String {
    let line = head.lines().next().unwrap_or_default();
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let has = |name: &str| query.split(['&', ' ']).any(|pair| pair.split('=').next() == Some(name));
    let method = path.split(' ').next().unwrap_or_default();
    let action = match (method, has("uploadId")) {
        ("POST", true) => "CompleteMultipartUpload",
        ("POST", false) => "CreateMultipartUpload",
        ("PUT", true) => "UploadPart",
        ("PUT", false) => "PutObject",
        ("DELETE", true) => "AbortMultipartUpload",
        ("DELETE", false) => "DeleteObject",
        ("HEAD", _) => "HeadObject",
        _ if has("uploads") => "ListMultipartUploads",
        _ => "GetObject",
    };
    action.to_owned()
}

fn edited(edit: &Mutex<Option<Box<Edit>>>, call: &Call, message: &Message) -> Option<Vec<u8>> {
    let edit = edit.lock().expect("no thread panics with it");
    edit.as_ref()?(call, &message.text()).map(String::into_bytes)
}

/// An answer.
pub(crate) fn answer(status: u16, kind: &str, body: &str) -> Message {
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n",
        body.len()
    );
    Message { head, body: body.as_bytes().to_vec() }
}

/// An error in EC2's form.
fn refusal(status: u16, code: &str) -> Message {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
         <Message>a fault of the test</Message></Error></Errors><RequestID>fault</RequestID>\
         </Response>"
    );
    answer(status, "text/xml", &body)
}
