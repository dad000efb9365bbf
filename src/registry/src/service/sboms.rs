//! SBOMs of builds.

use std::slice;

use super::{Session, rules};
use crate::api::{limits, *};
use crate::sbom;
use crate::store::{Role, SbomRow, Store, Tx, transaction};

fn view(row: SbomRow) -> Sbom {
    Sbom { id: row.id, name: row.name, format: row.format }
}

/// The document of an SBOM by its id, for whoever has been found to have access to it.
///
/// # Errors
/// There is none, or the database failed.
pub async fn sbom_document(store: &Store, id: &str) -> Result<Vec<u8>> {
    // It takes memory, as a list does.
    let turn = store.list_turn().await?;
    sbom_document_in_turn(store, id, turn).await
}

/// As [`sbom_document`], for who has a turn already, as that of [`Store::comparison_turn`]. It is held
/// until the document is there, also where nobody waits for that any more.
///
/// # Errors
/// There is none, or the database failed.
pub async fn sbom_document_in_turn(
    store: &Store,
    id: &str,
    turn: impl Send + 'static,
) -> Result<Vec<u8>> {
    let packed = store.read().await?.sbom_document(id).await?;
    sbom::unpack(packed.ok_or_else(|| Error::not_found("there is no such SBOM"))?, turn).await
}

impl Session {
    /// Uploads an SBOM as the API has it: compressed, in base64. `turn` is what allows it to take
    /// memory: it is held as long as it does, also where the caller does not wait for that.
    ///
    /// # Errors
    /// It is not an SBOM of its format, it or what the build has is too large, the build is done, or
    /// the caller may not do it.
    pub async fn upload_packed_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        mut body: UploadSbomBody,
        turn: impl Send + 'static,
    ) -> Result<Sbom> {
        self.need(Role::Contributor)?;
        if body.name.is_empty() {
            body.name = fingerprint.to_owned();
        } else {
            rules::sbom_name(&body.name)?;
        }
        let checked = sbom::check(body.compressed_sbom, body.format, turn).await?;
        let sbom::Checked { packed, compressed_size, size, turn: _turn } = checked;
        let row = SbomRow {
            id: String::new(),
            build_id: build.to_owned(),
            name: body.name,
            format: body.format,
            compressed_size,
            size,
            created_at: Timestamp::default(),
        };
        transaction!(self.store, |tx| self.put_sbom_in(tx, bucket, fingerprint, &row, &packed))
    }

    async fn put_sbom_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        row: &SbomRow,
        packed: &str,
    ) -> Result<Sbom> {
        self.lock(tx, bucket).await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let build = self.find_build(tx, &version, &row.build_id).await?;
        let there = tx.sboms(slice::from_ref(&version.id)).await?;
        let is_same = |it: &&SbomRow| it.build_id == row.build_id && it.name == row.name;
        let same = there.iter().find(is_same);
        if build.status == BuildStatus::Done {
            // A client that did not hear the answer asks again.
            if let Some(same) = same
                && tx.sbom_document(&same.id).await?.as_deref() == Some(packed)
            {
                return Ok(view(same.clone()));
            }
            return Err(Error::precondition("the build is done and cannot change any more"));
        }
        let others = || there.iter().filter(|it| !is_same(it));
        if others().filter(|it| it.build_id == row.build_id).count() >= limits::SBOMS {
            let most = limits::SBOMS;
            return Err(Error::precondition(format!(
                "a build must not have more than {most} SBOMs"
            )));
        }
        let size: i64 = others().map(|it| it.compressed_size).sum();
        if size + row.compressed_size > limits::SBOMS_OF_VERSION {
            return Err(Error::precondition(format!(
                "the SBOMs of all builds of a version must not be larger than {} MiB when they are \
                 compressed",
                limits::SBOMS_OF_VERSION >> 20
            )));
        }
        tx.put_sbom(row, packed).await?;
        let (component, name) = (&build.component_type, &row.name);
        let target = format!("{bucket}/{fingerprint} {component} {name}");
        self.audit(tx, "upload SBOM", target).await?;
        let put = tx.sbom(&row.build_id, &row.name).await?;
        put.map(view).ok_or_else(|| Error::new(Code::Internal, "the SBOM was not kept"))
    }

    pub(super) async fn sboms_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        build: &str,
    ) -> Result<ListSbomsResponse> {
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let build = self.find_build(tx, &version, build).await?;
        let rows = tx.sboms(slice::from_ref(&version.id)).await?.into_iter();
        let sboms = rows.filter(|row| row.build_id == build.id).map(view).collect();
        Ok(ListSbomsResponse { sboms })
    }

    /// All SBOMs of a version's builds.
    ///
    /// # Errors
    /// The caller may not read, there is no such version, or the database failed.
    pub async fn sboms_of(&self, bucket: &str, fingerprint: &str) -> Result<Vec<SbomRow>> {
        self.need(Role::Viewer)?;
        let tx = &mut self.store.read().await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        tx.sboms(slice::from_ref(&version.id)).await
    }

    /// An SBOM of a build.
    ///
    /// # Errors
    /// The caller may not read, there is none, or the database failed.
    pub async fn find_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
    ) -> Result<SbomRow> {
        self.need(Role::Viewer)?;
        let tx = &mut self.store.read().await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let build = self.find_build(tx, &version, build).await?;
        let none =
            || Error::not_found(format!("the build has no SBOM called {}", rules::quoted(name)));
        tx.sbom(&build.id, name).await?.ok_or_else(none)
    }
}
