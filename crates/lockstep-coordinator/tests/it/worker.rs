//! A worker as the protocol sees it: a key, a token, an instance, the settings that it holds.

use crate::world::{World, answer};
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use lockstep_journal::{Journal, Segment};
use lockstep_model::cases::Also;
use lockstep_model::{
    CustomerId, Epoch, Incarnation, WorkerId,
    entry::Body,
    settings::{CustomerSettings, OnWire},
};
use lockstep_protocol::{
    InstanceId, Nonce, Problem, PublicKey, Signature,
    auth::{
        AuthRequest, Bearer, Facts, Pending, TokenReply, TokenRequest, return_challenge,
        token_challenge,
    },
    checkpoint::CheckpointHeader,
    delta::{Held, SettingsReply},
    headers::{WORKER_INSTANCE, prefer_wait},
    lease::{HeldLease, LeaseReply, LeaseRequest, ReleaseRequest},
    paths::{fill, people, worker as paths},
    people::workers::{ConfirmReply, ConfirmRequest},
    segment::{SegmentHash, SegmentHeader, SegmentReply},
    status::{
        Acted, ApplyState, CustomerReport, RunProgress, ShopReport, StatusReply, StatusReport,
    },
};
use reqwest::{Client, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub struct TestWorker {
    pub client: Client,
    pub base: String,
    pub key: SigningKey,
    pub name: String,
    pub id: WorkerId,
    pub token: String,
    pub instance: InstanceId,
    pub held: Held,
    pub reports: u64,
    /// How its customers' shops are, by its reports.
    pub shops: Vec<ShopReport>,
}

/// What a poll was answered.
#[derive(Debug)]
pub enum Polled {
    Unchanged,
    Changed(Box<SettingsReply>),
}

impl TestWorker {
    pub fn unknown(world: &World, name: &str) -> Self {
        TestWorker {
            client: world.client.clone(),
            base: world.coordinator.url().to_owned(),
            key: SigningKey::from_bytes(&rand::random()),
            name: name.to_owned(),
            id: WorkerId(0),
            token: String::new(),
            instance: InstanceId {
                boot: "boot".into(),
                folder: name.to_owned(),
                start: 1,
            },
            held: Held::default(),
            reports: 0,
            shops: Vec::new(),
        }
    }

    pub async fn confirmed(world: &World, name: &str) -> Self {
        let mut worker = Self::unknown(world, name);
        let pending = worker.auth(None).await;
        let path = fill(people::ENROLMENT_CONFIRM, &[&pending.enrolment]);
        let request = ConfirmRequest {
            code: pending.user_code.to_string(),
        };
        let _: ConfirmReply = world.post(&path, &request).await.unwrap();
        worker.fetch_token(&pending).await.unwrap();
        worker
    }

    pub async fn auth(&self, join_token: Option<Bearer>) -> Pending {
        let problem = self.try_auth(join_token).await.unwrap_err();
        problem.pending.unwrap()
    }

    pub async fn try_auth(&self, join_token: Option<Bearer>) -> Result<Value, Problem> {
        let request = AuthRequest {
            name: self.name.clone(),
            public_key: PublicKey(self.key.verifying_key().to_bytes()),
            build: "test".into(),
            protocol: lockstep_protocol::VERSIONS,
            platforms: vec!["practice".into()],
            facts: Facts::default(),
            join_token,
        };
        answer(self.client.post(self.url(paths::AUTH)).json(&request)).await
    }

    pub async fn fetch_token(&mut self, pending: &Pending) -> Result<TokenReply, Problem> {
        let reply = self.ask_token(&self.token_request(pending)).await?;
        self.id = reply.worker_id;
        self.token = reply.token.reveal().to_owned();
        Ok(reply)
    }

    pub fn token_request(&self, pending: &Pending) -> TokenRequest {
        let nonce = Nonce(rand::random());
        let (id, code) = (&pending.enrolment, &pending.device_code);
        let instance = pending.known.then(|| self.instance.clone());
        let challenge = match &instance {
            None => token_challenge(id, &pending.nonce, &nonce, code),
            Some(instance) => return_challenge(id, &pending.nonce, &nonce, code, instance),
        };
        TokenRequest {
            enrolment: pending.enrolment.clone(),
            device_code: pending.device_code.clone(),
            nonce,
            instance,
            signature: Signature(self.key.sign(&challenge).to_bytes()),
        }
    }

    pub async fn ask_token(&self, request: &TokenRequest) -> Result<TokenReply, Problem> {
        answer(self.client.post(self.url(paths::AUTH_TOKEN)).json(request)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn known(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .bearer_auth(&self.token)
            .header(WORKER_INSTANCE, self.instance.to_string())
    }

    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        answer(self.known(self.client.post(self.url(path)).json(body))).await
    }

    /// One poll; what it brings is applied.
    pub async fn poll(&mut self, wait_seconds: u64) -> Result<Polled, Problem> {
        let mut request = self.known(self.client.get(self.url(paths::SETTINGS)));
        if let Some(etag) = self.held.etag {
            request = request.header("if-none-match", etag.quoted());
        }
        if wait_seconds > 0 {
            request = request.header("prefer", prefer_wait(wait_seconds));
        }
        let response = request.send().await.unwrap();
        if response.status() == 304 {
            let etag = response.headers()["etag"].to_str().unwrap().to_owned();
            assert_eq!(Some(etag), self.held.etag.map(|etag| etag.quoted()));
            return Ok(Polled::Unchanged);
        }
        let ok = response.status().is_success();
        let bytes = response.bytes().await.unwrap();
        if !ok {
            return Err(serde_json::from_slice(&bytes).unwrap());
        }
        let reply: SettingsReply = serde_json::from_slice(&bytes).unwrap();
        self.held.apply(reply.clone()).unwrap();
        Ok(Polled::Changed(Box::new(reply)))
    }

    /// A poll that must bring something.
    pub async fn news(&mut self) -> SettingsReply<OnWire<CustomerSettings>> {
        match self.poll(20).await.unwrap() {
            Polled::Changed(reply) => *reply,
            Polled::Unchanged => panic!("nothing changed"),
        }
    }

    /// One poll after the other until one is refused: what it is given of its own accord may come first.
    pub async fn polls_until_refused(&mut self, wait_seconds: u64) -> Problem {
        loop {
            if let Err(refused) = self.poll(wait_seconds).await {
                return refused;
            }
        }
    }

    pub fn epoch(&self, customer: CustomerId) -> Epoch {
        self.held.customers[&customer].epoch
    }

    /// All that it holds is applied.
    pub async fn report(&mut self) -> StatusReply {
        self.report_runs(Vec::new()).await
    }

    pub async fn report_runs(&mut self, runs: Vec<RunProgress>) -> StatusReply {
        self.reports += 1;
        let customers = self.held.customers.iter().map(|(id, held)| CustomerReport {
            id: *id,
            revision: held.revision,
            epoch: held.epoch,
            state: ApplyState::Applied,
            error: None,
            stopped: false,
            journal_sequence: 0,
            calls_per_second_max: None,
            shops: self.shops.clone(),
        });
        let report = StatusReport {
            instance: self.instance.clone(),
            seq: self.reports,
            full: true,
            applied_etag: self.held.etag,
            customers: customers.collect(),
            acted: Acted::default(),
            runs,
            hooks: Vec::new(),
            sent_at: Timestamp::now(),
            build: "test".into(),
        };
        self.post(paths::STATUS, &report).await.unwrap()
    }

    pub async fn lease(&self) -> LeaseReply {
        self.post(paths::LEASE, &LeaseRequest::default())
            .await
            .unwrap()
    }

    pub async fn release(&self, customer: CustomerId, epoch: Epoch) -> LeaseReply {
        let released = vec![HeldLease {
            customer_id: customer,
            epoch,
        }];
        self.post(paths::LEASE_RELEASE, &ReleaseRequest { released })
            .await
            .unwrap()
    }

    pub async fn send(&self, segment: &Segment) -> Result<SegmentReply, Problem> {
        let header = header(segment);
        let path = fill(paths::JOURNAL, &[&header.customer]);
        let mut request = self.known(self.client.post(self.url(&path)));
        for (name, value) in header.to_headers() {
            request = request.header(name, value);
        }
        answer(request.body(segment.encode())).await
    }

    pub async fn journal(&self, customer: CustomerId, after: u64) -> Result<Vec<u8>, Problem> {
        let path = format!("{}?after={after}", fill(paths::JOURNAL, &[&customer]));
        let response = self
            .known(self.client.get(self.url(&path)))
            .send()
            .await
            .unwrap();
        let ok = response.status().is_success();
        let bytes = response.bytes().await.unwrap();
        if ok {
            return Ok(bytes.to_vec());
        }
        Err(serde_json::from_slice(&bytes).unwrap())
    }
}

impl TestWorker {
    pub async fn checkpoint(
        &self,
        customer: CustomerId,
    ) -> Result<(CheckpointHeader, Vec<u8>), Problem> {
        let path = fill(paths::CHECKPOINT, &[&customer]);
        let request = self.known(self.client.get(self.url(&path)));
        let response = request.send().await.unwrap();
        let ok = response.status().is_success();
        let told = CheckpointHeader::from_headers(response.headers());
        let bytes = response.bytes().await.unwrap();
        if ok {
            return Ok((told.unwrap(), bytes.to_vec()));
        }
        Err(serde_json::from_slice(&bytes).unwrap())
    }
}

pub fn header(segment: &Segment) -> SegmentHeader {
    SegmentHeader {
        customer: segment.header.customer,
        incarnation: segment.header.incarnation,
        epoch: segment.header.epoch,
        sequence: segment.header.sequence,
        previous: SegmentHash(segment.header.previous.0),
        hash: SegmentHash(segment.hash.0),
    }
}

/// The next segment of a journal, with these entries in it.
pub fn segment(journal: &mut Journal, bodies: Vec<Body>) -> Segment {
    journal
        .append(Timestamp::now(), bodies, Also::default())
        .unwrap();
    journal.cut_segment(1 << 20).unwrap().unwrap()
}

pub fn acknowledge(journal: &mut Journal, segment: &Segment) {
    journal
        .acknowledge(segment.header.sequence, segment.hash)
        .unwrap();
}

pub fn opened(customer: CustomerId, worker: WorkerId, epoch: Epoch) -> Body {
    Body::Opened {
        customer,
        incarnation: Incarnation(1),
        epoch,
        worker: Some(worker),
    }
}
