package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// access is who may use a route. The zero value is nobody, so that a route
// whose policy was forgotten answers no one.
type access uint8

const (
	accessNobody  access = iota
	accessPublic         // anybody; the handler is limited per address where that matters
	accessOrigin         // anybody whose page is on an inbox's list
	accessVisitor        // a visitor's token
	accessStream         // the same; the answer goes on for as long as the visitor is there
	accessAgent          // an agent, by cookie or token
	accessAdmin          // an agent who is an admin
	accessIngress        // an inbox's token or signature
	accessSocket         // checked by the upgrade and by the hello frame
)

// caller is who a request comes from, as far as its route's policy asks.
type caller struct {
	agent   *agentID
	visitor *visitorID
	inbox   conversation.Inbox // of ingress
	body    []byte             // of ingress: what the signature was checked over
}

// handler does what a route is for.
type handler = func(*Gateway, http.ResponseWriter, *http.Request, caller) error

// needing is a handler that refuses where a collaborator is missing.
func needing(has func(*Options) bool, refusal error, h handler) handler {
	return func(g *Gateway, w http.ResponseWriter, r *http.Request, who caller) error {
		if !has(&g.opts) {
			return refusal
		}
		return h(g, w, r, who)
	}
}

// route is one line of the table.
type route struct {
	method string
	path   string
	access access
	handle handler
	body   int64 // limit in bytes; zero = Limits.BodyBytes
}

const smallBody = 16 << 10

// table is every route there is, with its policy on the same line.
func table() []route { //nolint:funlen // a table, with nothing in it to take apart
	return []route{
		{"POST", "/webhook", accessIngress, (*Gateway).webhook, 0},
		{"GET", "/v1/ws", accessSocket, (*Gateway).serveAgentSocket, 0},
		{"GET", "/v1/widget/ws", accessSocket, (*Gateway).serveVisitorSocket, 0},

		{"POST", "/v1/auth/login", accessPublic, (*Gateway).login, smallBody},
		{"POST", "/v1/auth/logout", accessAgent, (*Gateway).logout, smallBody},
		{"GET", "/v1/auth/setup", accessPublic, (*Gateway).setupState, 0},
		{"POST", "/v1/auth/setup", accessPublic, (*Gateway).firstAdmin, smallBody},
		{"GET", "/v1/profile", accessAgent, (*Gateway).profile, 0},
		{"POST", "/v1/profile/password", accessAgent, (*Gateway).changePassword, smallBody},
		{"GET", "/v1/tokens", accessAgent, (*Gateway).listTokens, 0},
		{"POST", "/v1/tokens", accessAgent, (*Gateway).createToken, smallBody},
		{"DELETE", "/v1/tokens/{token}", accessAgent, (*Gateway).deleteToken, 0},

		{"GET", "/v1/conversations", accessAgent, (*Gateway).listConversations, 0},
		{"GET", "/v1/conversations/{id}", accessAgent, (*Gateway).showConversation, 0},
		{"GET", "/v1/conversations/{id}/cost", accessAgent, (*Gateway).showCost, 0},
		{"GET", "/v1/conversations/{id}/events", accessAgent, (*Gateway).listEvents, 0},
		{"GET", "/v1/conversations/{id}/messages", accessAgent, (*Gateway).listMessages, 0},
		{"POST", "/v1/conversations/{id}/messages", accessAgent, (*Gateway).postMessage, 0},
		{"POST", "/v1/conversations/{id}/notes", accessAgent, (*Gateway).postNote, 0},
		{"POST", "/v1/conversations/{id}/attachments", accessAgent, withFiles((*Gateway).uploadAsAgent), uploadBody},
		{"GET", "/v1/attachments/{attachment}", accessAgent, withFiles((*Gateway).downloadAsAgent), 0},
		{"GET", "/v1/files/{attachment}", accessPublic, withFiles((*Gateway).downloadByLink), 0},
		{"POST", "/v1/conversations/{id}/claim", accessAgent, (*Gateway).claim, smallBody},
		{"POST", "/v1/conversations/{id}/assign", accessAgent, (*Gateway).assign, smallBody},
		{"POST", "/v1/conversations/{id}/unassign", accessAgent, (*Gateway).unassign, smallBody},
		{"POST", "/v1/conversations/{id}/resolve", accessAgent, (*Gateway).resolve, smallBody},
		{"POST", "/v1/conversations/{id}/reopen", accessAgent, (*Gateway).reopen, smallBody},
		{"POST", "/v1/conversations/{id}/close", accessAgent, (*Gateway).closeConversation, smallBody},
		{"POST", "/v1/conversations/{id}/snooze", accessAgent, (*Gateway).snooze, smallBody},
		{"POST", "/v1/conversations/{id}/wake", accessAgent, (*Gateway).wake, smallBody},
		{"POST", "/v1/conversations/{id}/handover", accessAgent, (*Gateway).handover, smallBody},
		{"POST", "/v1/conversations/{id}/return_to_bot", accessAgent, (*Gateway).returnToBot, smallBody},
		{"POST", "/v1/conversations/{id}/read", accessAgent, (*Gateway).markRead, smallBody},
		{"POST", "/v1/conversations/{id}/draft", accessAgent, (*Gateway).draft, smallBody},
		{"POST", "/v1/conversations/{id}/judge", accessAgent, (*Gateway).judge, smallBody},
		{"PUT", "/v1/conversations/{id}/tags", accessAgent, (*Gateway).putTags, smallBody},
		{"PATCH", "/v1/conversations/{id}/priority", accessAgent, (*Gateway).patchPriority, smallBody},

		{"GET", "/v1/traces", accessAgent, withTraces((*Gateway).listTraces), 0},
		{"GET", "/v1/traces/{trace}", accessAgent, withTraces((*Gateway).showTrace), 0},

		{"GET", "/v1/contacts/{contact}", accessAgent, withContacts((*Gateway).showContact), 0},
		{"POST", "/v1/contacts/{contact}/merge", accessAgent, withContacts((*Gateway).mergeContact), smallBody},
		{"POST", "/v1/contacts/{contact}/split", accessAgent, withContacts((*Gateway).splitContact), smallBody},

		{"POST", "/v1/contacts/{contact}/erase", accessAdmin, withPrivacy((*Gateway).eraseContact), smallBody},
		{"PUT", "/v1/contacts/{contact}/hold", accessAdmin, withPrivacy((*Gateway).holdContact), smallBody},
		{"DELETE", "/v1/contacts/{contact}/hold", accessAdmin, withPrivacy((*Gateway).releaseContact), 0},
		{"PUT", "/v1/conversations/{id}/hold", accessAdmin, withPrivacy((*Gateway).holdConversation), smallBody},
		{"DELETE", "/v1/conversations/{id}/hold", accessAdmin, withPrivacy((*Gateway).releaseConversation), 0},
		{"GET", "/v1/retention", accessAdmin, withPrivacy((*Gateway).showOverdue), 0},
		{"POST", "/v1/retention/sweep", accessAdmin, withPrivacy((*Gateway).sweepOverdue), smallBody},

		{"GET", "/v1/inboxes", accessAgent, (*Gateway).listInboxes, 0},
		{"POST", "/v1/inboxes", accessAdmin, (*Gateway).createInbox, 0},
		{"GET", "/v1/inboxes/{inbox}", accessAgent, (*Gateway).showInbox, 0},
		{"PATCH", "/v1/inboxes/{inbox}", accessAdmin, (*Gateway).patchInbox, 0},
		{"POST", "/v1/inboxes/{inbox}/rotate_secret", accessAdmin, (*Gateway).rotateSecret, smallBody},
		{"PUT", "/v1/inboxes/{inbox}/channels/{kind}", accessAdmin, withAccounts((*Gateway).putAccount), smallBody},
		{"DELETE", "/v1/inboxes/{inbox}/channels/{kind}", accessAdmin, withAccounts((*Gateway).deleteAccount), 0},
		{"POST", "/v1/inboxes/{inbox}/channels/{kind}/test", accessAdmin, withAccounts((*Gateway).testAccount), smallBody},
		{"POST", "/v1/inboxes/{inbox}/channels/{kind}/pause", accessAdmin, pauseAccount(true), smallBody},
		{"POST", "/v1/inboxes/{inbox}/channels/{kind}/resume", accessAdmin, pauseAccount(false), smallBody},
		{"GET", "/v1/channels", accessAdmin, withAccounts((*Gateway).listAccounts), 0},
		{"GET", "/v1/dead_letters", accessAdmin, withLetters((*Gateway).listLetters), 0},
		{"GET", "/v1/dead_letters/{letter}", accessAdmin, withLetters((*Gateway).showLetter), 0},
		{"POST", "/v1/dead_letters/{letter}/redeliver", accessAdmin, withLetters((*Gateway).redeliverLetter), smallBody},
		{"DELETE", "/v1/dead_letters/{letter}", accessAdmin, withLetters((*Gateway).dropLetter), 0},
		{"GET", "/v1/channel_kinds", accessAdmin, withAccounts((*Gateway).listAccountKinds), 0},
		{"GET", "/v1/inboxes/{inbox}/intent", accessAgent, (*Gateway).intentState, 0},
		{"GET", "/v1/inboxes/{inbox}/intents", accessAgent, (*Gateway).listInboxIntents, 0},
		{"GET", "/v1/intent/suggestions", accessAdmin, (*Gateway).listSuggestions, 0},
		{"POST", "/v1/intent/suggestions/{suggestion}/accept", accessAdmin, (*Gateway).acceptSuggestion, smallBody},
		{"POST", "/v1/intent/suggestions/{suggestion}/dismiss", accessAdmin, (*Gateway).dismissSuggestion, smallBody},
		{"GET", "/v1/agents", accessAgent, (*Gateway).listAgents, 0},
		{"POST", "/v1/agents", accessAdmin, (*Gateway).createAgent, smallBody},
		{"PATCH", "/v1/agents/{agent}", accessAdmin, (*Gateway).patchAgent, smallBody},
		{"GET", "/v1/packs", accessAgent, (*Gateway).listPacks, 0},
		{"POST", "/v1/packs/reload", accessAdmin, (*Gateway).reloadPacks, smallBody},
		{"GET", "/v1/packs/{pack}", accessAdmin, onShelf((*Gateway).showPack), 0},
		{"PUT", "/v1/packs/{pack}", accessAdmin, onShelf((*Gateway).putPack), packBody},
		{"DELETE", "/v1/packs/{pack}", accessAdmin, onShelf((*Gateway).deletePack), 0},
		{"POST", "/v1/packs/{pack}/check", accessAdmin, onShelf((*Gateway).checkPack), packBody},
		{"GET", "/v1/packs/{pack}/intents", accessAdmin, onShelf((*Gateway).listIntents), 0},
		{"GET", "/v1/packs/{pack}/versions", accessAdmin, onShelf((*Gateway).listPackVersions), 0},
		{"GET", "/v1/packs/{pack}/versions/{version}", accessAdmin, onShelf((*Gateway).showPackVersion), 0},
		{"POST", "/v1/packs/{pack}/rollback", accessAdmin, onShelf((*Gateway).rollbackPack), smallBody},
		{"POST", "/v1/intents/predict", accessAgent, (*Gateway).predict, 0},
		{"GET", "/v1/intent/shadow", accessAdmin, (*Gateway).listShadows, 0},

		{"GET", "/v1/cluster", accessAdmin, forOperators(clusterStatus), 0},
		{"POST", "/v1/cluster/drain", accessAdmin, forOperators(drainNode), smallBody},
		{"POST", "/v1/cluster/remove", accessAdmin, forOperators(removeNode), smallBody},

		{"GET", "/v1/widget/events", accessStream, (*Gateway).serveEvents, 0},
		{"POST", "/v1/widget/frames", accessVisitor, (*Gateway).widgetFrame, frameBody},
		{"POST", "/v1/widget/session", accessOrigin, (*Gateway).widgetSession, smallBody},
		{"GET", "/v1/widget/config", accessOrigin, (*Gateway).widgetConfig, 0},
		{"GET", "/v1/widget/conversations/current", accessVisitor, (*Gateway).widgetConversation, 0},
		{"GET", "/v1/widget/conversations/current/messages", accessVisitor, (*Gateway).widgetMessages, 0},
		{"POST", "/v1/widget/messages", accessVisitor, (*Gateway).widgetPost, 0},
		{"POST", "/v1/widget/attachments", accessVisitor, withFiles((*Gateway).uploadAsVisitor), uploadBody},
		{"GET", "/v1/widget/attachments/{attachment}", accessVisitor, withFiles((*Gateway).downloadAsVisitor), 0},
		{"POST", "/v1/widget/judge", accessVisitor, (*Gateway).widgetJudge, smallBody},
	}
}

// routes builds the handler from the table.
func (g *Gateway) routes() http.Handler {
	mux := http.NewServeMux()
	byPath := make(map[string][]route)
	for _, rt := range table() {
		byPath[rt.path] = append(byPath[rt.path], rt)
	}
	for path, routes := range byPath {
		mux.Handle(path, g.resource(routes))
	}
	mux.HandleFunc("/v1/", g.notFound)
	if g.opts.Channels != nil {
		// Each driver checks its provider's signature; see package channels.
		mux.Handle("/v1/channels/", tracedIngress(g.opts.Channels))
	}
	mux.HandleFunc("/", g.servePage)
	return g.outermost(mux)
}

func (g *Gateway) notFound(w http.ResponseWriter, r *http.Request) {
	g.refuse(w, r, conversation.Refuse(conversation.CodeNotFound, "there is nothing at this address"))
}

// resource serves the methods of one path.
func (g *Gateway) resource(routes []route) http.Handler {
	var methods []string
	for _, rt := range routes {
		methods = append(methods, rt.method)
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	methods = append(methods, http.MethodOptions)
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range routes {
			rt := &routes[i]
			if r.Method == rt.method || r.Method == http.MethodHead && rt.method == http.MethodGet {
				g.serveRoute(w, r, rt)
				return
			}
		}
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			g.preflight(w, r, routes)
			return
		}
		g.refuse(w, r, errMethod())
	})
}

// serveRoute checks the policy, then lets the handler work.
func (g *Gateway) serveRoute(w http.ResponseWriter, r *http.Request, rt *route) {
	if rt.access != accessSocket && rt.access != accessStream { // they outlive any time limit of a request
		var cancel context.CancelFunc
		r, cancel = g.bounded(w, r, rt)
		defer cancel()
	}
	who, err := g.admitRequest(w, r, rt)
	if err == nil {
		err = rt.handle(g, w, traced(r, rt.access), who)
	}
	if err != nil {
		g.refuse(w, r, err)
	}
}
