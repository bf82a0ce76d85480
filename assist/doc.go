// Package assist asks a language model, over the protocol that OpenAI made
// common, to draft a reply for an agent. A draft is text for a text box: it goes
// to the agent who asked and to nobody else, and nothing in it, or in what a
// visitor wrote to bring it about, is acted on. The model gets no tools.
//
// What the model is shown has been masked by the caller.
package assist
