//! The password of a Windows instance.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_communicator::KeyPair;
use ingot_sdk::retry::Retry;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::State;
use super::key_pair::own_key;
use crate::ebs::options::given;
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times::Polling;
use crate::failure::During;

/// How often to ask for it; Windows takes minutes to set it.
const PAUSE: Duration = Duration::from_secs(5);

/// What helps where the password does not come in time.
const TOO_SLOW: &str = "give it more time with windows_password_timeout, such as \"40m\"; an AMI \
                        that was not made with Sysprep sets no password at all: set \
                        winrm_password then";

/// Asks for the administrator's password, which Windows makes up when it first starts.
pub(super) struct GetPassword;

#[async_trait]
impl Step<State> for GetPassword {
    fn name(&self) -> &'static str {
        "get password"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if given(&state.settings.raw.communicator.winrm.winrm_password).is_some() {
            ctx.ui.say("Skipping waiting for password since WinRM password set...");
            return Ok(());
        }
        ctx.ui.say("Waiting for auto-generated password for instance...");
        ctx.ui.message(
            "It is normal for this process to take up to 15 minutes,\nbut it usually takes \
             around 5. Please wait.",
        );
        let key = own_key(state)?;
        let id = state.instance_id()?.to_owned();
        let timeout = Some(state.settings.password_timeout());
        let retry = Retry { initial: PAUSE, max: PAUSE * 3, tries: None, timeout };
        let polling = Polling { retry, hint: TOO_SLOW };
        let look = || async {
            let response = state.ec2.get_password_data().instance_id(&id).send().await;
            let response = response.during("asking for the password")?;
            Ok(match response.password_data().map(str::trim).filter(|data| !data.is_empty()) {
                None => WaitStatus::Pending("Windows has not set it yet".to_owned()),
                Some(data) => match decrypt(data, &key) {
                    Ok(password) => WaitStatus::Ready(password),
                    Err(error) => WaitStatus::Failed(error),
                },
            })
        };
        let password = until(&ctx.ui, "the password of Windows", polling, look).await?;
        ctx.ui.say("Password retrieved!");
        if ctx.prepare.debug {
            ctx.ui.say(format!("Password (since debug is enabled): {password}"));
        }
        ctx.ui.mask(&password);
        state.password = Some(password);
        Ok(())
    }
}

/// Decrypts what EC2 encrypted with the instance's public key (RSA, PKCS#1 v1.5).
fn decrypt(data: &str, key: &KeyPair) -> Result<String> {
    let failed = |why: &str| {
        Error::new(format!("the password of Windows cannot be decrypted: {why}"))
            .hint("the key has to be the RSA key of the instance's key pair, in a PEM file")
    };
    let bytes = STANDARD.decode(data.replace(['\r', '\n'], ""));
    let bytes = bytes.map_err(|_| failed("AWS did not send Base64"))?;
    let plain = key.decrypt(&bytes).map_err(|why| failed(&why.to_string()))?;
    String::from_utf8(plain).map_err(|_| failed("it is not UTF-8"))
}
