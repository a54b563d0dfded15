//! Lists page by page: no answer is larger than a few megabytes, and none is asked for without a limit.

use std::fmt::Debug;

use kube::{Api, api::ListParams};
use serde::de::DeserializeOwned;

/// Objects of one page.
pub const PAGE: u32 = 500;

/// All objects that `params` choose.
///
/// An API server keeps what a list goes on from for some minutes only. A list that took longer begins anew, once:
/// a second time it would not come to its end either.
pub async fn list_all<K>(api: &Api<K>, params: ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let first = params.limit(PAGE);
    let mut page = first.clone();
    let mut found = Vec::new();
    let mut begun_anew = false;
    loop {
        let list = match api.list(&page).await {
            Err(error) if is_expired(&error) && page.continue_token.is_some() && !begun_anew => {
                begun_anew = true;
                found.clear();
                page = first.clone();
                continue;
            }
            list => list?,
        };
        found.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Whether an API server no longer has what a list goes on from.
fn is_expired(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use serde_json::json;

    use super::*;
    use crate::client::fake::{Answer, Server};

    fn page(name: &str, next: &str) -> Answer {
        let items = [json!({ "metadata": { "name": name } })];
        let list = json!({ "metadata": { "continue": next }, "items": items });
        Answer::whole(200, list.to_string())
    }

    fn expired() -> Answer {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old", "reason": "Expired", "code": 410
        });
        Answer::whole(410, status.to_string())
    }

    async fn names(answers: Vec<Answer>) -> (Result<Vec<String>, kube::Error>, usize) {
        let server = Server::that(answers);
        let api: Api<Namespace> = Api::all(server.client());
        let list = list_all(&api, ListParams::default()).await;
        let names = list.map(|all| {
            all.into_iter()
                .filter_map(|one| one.metadata.name)
                .collect()
        });
        (names, server.asked().len())
    }

    #[tokio::test]
    async fn a_list_that_took_too_long_begins_anew_once() {
        let again = vec![page("a", "x"), expired(), page("b", "y"), page("c", "")];
        let (found, asked) = names(again).await;
        assert_eq!(
            (found.unwrap(), asked),
            (vec!["b".to_owned(), "c".to_owned()], 4)
        );

        let ever = vec![page("a", "x"), expired(), page("b", "y"), expired()];
        let (found, asked) = names(ever).await;
        assert!(is_expired(&found.unwrap_err()));
        assert_eq!(asked, 4);
    }

    #[tokio::test]
    async fn what_is_refused_at_once_is_not_asked_again() {
        let (found, asked) = names(vec![expired()]).await;
        assert!(found.is_err());
        assert_eq!(asked, 1);
    }
}
