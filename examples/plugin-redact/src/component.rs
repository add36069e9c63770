//! The component's face: the world `request-filter` of the plugin interface.

#[allow(missing_docs, unused, reason = "the generated bindings are not ours to document or to lint")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../runtime/wit",
        world: "request-filter",
    });

    struct Redact;
    export!(Redact);

    use exports::strongroom::plugin::request_hook::{ChatRequest, Guest, Message};

    impl Guest for Redact {
        /// Redacts what users wrote. System prompts are the operator's own, and what the
        /// assistant said came from the model: both stay as they are.
        fn on_request(request: ChatRequest) -> Result<Vec<Message>, String> {
            let mut messages = request.messages;
            for message in &mut messages {
                if message.role == "user" {
                    message.content = crate::redact(&message.content);
                }
            }
            Ok(messages)
        }
    }
}
