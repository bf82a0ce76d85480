package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent/remote"
)

type check struct {
	name, what string
	run        func(ctx context.Context, s *session) error
}

// decisive reports whether all others would say the same when a check fails.
func (c *check) decisive() bool { return c.name == "reachable" || c.name == "packs" }

// table is everything that a server is asked.
func table() []check {
	return []check{
		{"reachable", "one utterance is answered with status 200 and JSON", checkReachable},
		{"packs", "the packs are some that the server has learned", checkPacks},
		{"model", "model and version are named, and stay the same", checkModel},
		{"question_en", "a question in English has a candidate", language("en")},
		{"question_zh", "a question in Chinese has a candidate", language("zh")},
		{"all_samples", "every sample question passes the strict check", checkSamples},
		{"own_questions", "most sample questions are understood as what they are", checkOwnQuestions},
		{"confidences", "confidences are above 0 for the best, and not all the same", checkConfidences},
		{"batch", "a batch gives one result for each utterance", checkBatch},
		{"batch_order", "results stand in the order of the utterances", checkOrder},
		{"batch_alone", "an utterance gets the same in a batch as alone", checkAlone},
		{"batch_max", fmt.Sprintf("a batch of %d is taken", remote.MaxBatch), checkMaxBatch},
		{"deterministic", "the same request gives the same results", checkDeterministic},
		{"emoji", "emoji alone and between words", texts("🙂", "😡😡😡", "where 📦 is my 📦 order", "👨‍👩‍👧‍👦🏳️‍🌈")},
		{"mixed", "Chinese and English in one sentence, full-width and traditional characters", texts("我的order到哪了", "ｏｒｄｅｒ　１２３", "訂單還沒到", "wifi连不上怎么办ok?")},
		{"very_long", "16 KiB of words", texts(strings.Repeat("where is my order ", 16<<10/18))},
		{"very_long_zh", "16 KiB of Chinese without a space", texts(strings.Repeat("订单", 16<<10/6))},
		{"one_word", "16 KiB of one character", texts(strings.Repeat("a", 16<<10), strings.Repeat("1", 16<<10))},
		{"empty", "an empty text has no candidates, or an error of its own", checkEmpty},
		{"blank", "blanks and punctuation", texts("   ", "\n\t", "...", "？！", "-", "\u200b\u200c")},
		{"quoted", "quotes, markup, JSON, escapes and control characters", texts(
			`"; DROP TABLE intents; --`, `<script>alert(1)</script>`, `{"utterances":[]}`, `\u0000\n\`, "a\x01b\x1f", "%s%n%d", "line\r\nX-Evil: 1")},
		{"scripts", "other scripts, right to left, combining, unassigned", texts("مرحبا", "привет", "สวัสดี", "́́́", "\U0010ffff", "\u202eabc", "�")},
		{"language_hint", "a wrong or strange language hint does no harm", checkHint},
		{"context", "earlier texts are taken", checkContext},
		{"optional_fields", "an utterance with text and packs only is enough", checkMinimal},
		{"unknown_fields", "fields of later versions are ignored", checkUnknownFields},
		{"unknown_pack", "packs that were not learned give that utterance an error, and no other", checkUnknownPack},
		{"no_utterances", "an empty batch is refused with a reason", refused(`{"utterances":[]}`)},
		{"not_json", "a body that is no JSON is refused with a reason", refused(`{"utterances":[`)},
		{"wrong_types", "wrong types are refused with a reason", refused(`{"utterances":"where is my order"}`, `[1,2]`, `{"utterances":[7]}`, `{"utterances":[{"text":7,"packs":["x"]}]}`, `null`)},
		{"no_text", "an utterance without text is refused with a reason", refused(`{"utterances":[{"packs":["x"]}]}`)},
		{"too_many", fmt.Sprintf("more than %d utterances are refused, or all answered", remote.MaxBatch), checkTooMany},
		{"too_large", "a body of 8 MiB is refused, and the server goes on", checkTooLarge},
		{"deep", "a body that nests deeply is refused, and the server goes on", checkDeep},
		{"method", "GET is refused", checkMethod},
		{"path", "other addresses are refused", checkPath},
		{"token", "with a token, a request without it or with another is refused", checkToken},
		{"kept_connection", "a connection is kept for the next request", checkKept},
		{"concurrent", "32 requests at once, each with its own answer", checkConcurrent},
		{"given_up", "clients that give up leave the server well", checkGivenUp},
		{"deadline", "a deadline of 1 ms is taken, and the server goes on", checkDeadline},
		{"latency", "99 of 100 single utterances are quick", checkLatency},
		{"throughput", "batches are answered while others are", checkThroughput},
	}
}

func checkReachable(ctx context.Context, s *session) error {
	_, err := s.ask(ctx, s.sample(0))
	return err
}

func checkPacks(ctx context.Context, s *session) error {
	_, err := s.understand(ctx, s.sample(0))
	var declined *remote.DeclinedError
	if errors.As(err, &declined) {
		return err
	}
	return nil // what else is wrong is for the others to say
}

func checkModel(ctx context.Context, s *session) error {
	for i := range 3 {
		r, err := s.ask(ctx, s.sample(i))
		if err != nil {
			return err
		}
		if name := r.ModelName(); s.model == "" {
			s.model = name
		} else if s.model != name {
			return fmt.Errorf("%s, and then %s", s.model, name)
		}
		if r.Version == "" {
			return errors.New("there is no version: nobody could tell which training an answer came from")
		}
	}
	return nil
}

// language demands that the server understands something of a language. It need
// not know every intent of the packs.
func language(lang string) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		asked := 0
		for i, q := range s.o.Samples {
			if q.Lang != lang {
				continue
			}
			u, err := s.understand(ctx, s.sample(i))
			if err != nil || len(u[0].Candidates) > 0 {
				return err
			}
			asked++
		}
		if asked == 0 {
			return nil // the packs have none
		}
		return fmt.Errorf("none of %d questions of the packs has a candidate", asked)
	}
}

func checkSamples(ctx context.Context, s *session) error {
	for i := range s.o.Samples {
		if _, err := s.understand(ctx, s.sample(i)); err != nil {
			return err
		}
	}
	return nil
}

// checkOwnQuestions looks at samples whose intent the server knows: those that it
// ever names.
func checkOwnQuestions(ctx context.Context, s *session) error {
	known, right, total := map[string]bool{}, 0, 0
	best := make([]string, len(s.o.Samples))
	for i := range s.o.Samples {
		u, err := s.understand(ctx, s.sample(i))
		if err != nil {
			return err
		}
		for _, c := range u[0].Candidates {
			known[c.Intent] = true
		}
		if len(u[0].Candidates) > 0 {
			best[i] = u[0].Candidates[0].Intent
		}
	}
	for i, q := range s.o.Samples {
		if known[q.Intent] {
			total++
			if best[i] == q.Intent {
				right++
			}
		}
	}
	if total == 0 {
		return errors.New("none of the samples' intents was ever named: is it the right pack?")
	}
	if 2*right < total {
		return fmt.Errorf("%d of %d samples of intents that the server knows are understood as such", right, total)
	}
	return nil
}

func checkConfidences(ctx context.Context, s *session) error {
	seen := map[float32]bool{}
	for i := range s.o.Samples {
		u, err := s.understand(ctx, s.sample(i))
		if err != nil {
			return err
		}
		for _, c := range u[0].Candidates {
			seen[c.Confidence] = true
		}
		if len(u[0].Candidates) > 0 && u[0].Candidates[0].Confidence == 0 {
			return fmt.Errorf("the best candidate for %s has confidence 0; leave it out instead", quote(s.sample(i).Text))
		}
	}
	if len(seen) < 2 {
		return errors.New("every confidence is the same: no threshold could tell a sure answer from a guess")
	}
	return nil
}

func checkBatch(ctx context.Context, s *session) error {
	for _, n := range []int{2, 3, 16} {
		us := make([]remote.Utterance, n)
		for i := range us {
			us[i] = s.sample(i)
		}
		if _, err := s.understand(ctx, us...); err != nil {
			return fmt.Errorf("a batch of %d: %w", n, err)
		}
	}
	return nil
}

// checkOrder asks two questions that are understood differently, in both orders.
func checkOrder(ctx context.Context, s *session) error {
	a, b, err := s.different(ctx)
	if err != nil {
		return err
	}
	for _, pair := range [][2]remote.Utterance{{a, b}, {b, a}} {
		together, err := s.understand(ctx, pair[0], pair[1])
		if err != nil {
			return err
		}
		for i, u := range pair {
			alone, err := s.understand(ctx, u)
			if err != nil {
				return err
			}
			if got, want := best(together[i]).Intent, best(alone[0]).Intent; got != want {
				return fmt.Errorf("utterance %d of a batch, %s, is %q there and %q alone", i, quote(u.Text), got, want)
			}
		}
	}
	return nil
}

// different finds two samples that are understood as different intents.
func (s *session) different(ctx context.Context) (a, b remote.Utterance, err error) {
	first := ""
	for i := range s.o.Samples {
		u, err := s.understand(ctx, s.sample(i))
		if err != nil {
			return a, b, err
		}
		if len(u[0].Candidates) == 0 {
			continue
		}
		switch best := u[0].Candidates[0].Intent; first {
		case "":
			a, first = s.sample(i), best
		case best:
		default:
			return a, s.sample(i), nil
		}
	}
	return a, b, errors.New("all samples are understood as the same intent")
}

func checkAlone(ctx context.Context, s *session) error {
	us := make([]remote.Utterance, min(8, len(s.o.Samples)))
	for i := range us {
		us[i] = s.sample(i)
	}
	together, err := s.understand(ctx, us...)
	if err != nil {
		return err
	}
	for i := range us {
		alone, err := s.understand(ctx, us[i])
		if err != nil {
			return err
		}
		if len(alone[0].Candidates) != len(together[i].Candidates) {
			return fmt.Errorf("%s has %d candidates alone and %d in a batch", quote(us[i].Text), len(alone[0].Candidates), len(together[i].Candidates))
		}
		for k, c := range alone[0].Candidates {
			// Batches may be computed in another order, so the last bits may differ.
			if d := c.Confidence - together[i].Candidates[k].Confidence; c.Intent != together[i].Candidates[k].Intent || d > 1e-3 || d < -1e-3 {
				return fmt.Errorf("%s: %v alone and %v in a batch", quote(us[i].Text), c, together[i].Candidates[k])
			}
		}
	}
	return nil
}

func checkMaxBatch(ctx context.Context, s *session) error {
	us := make([]remote.Utterance, remote.MaxBatch)
	for i := range us {
		us[i] = s.sample(i)
	}
	_, err := s.understand(ctx, us...)
	return err
}

func checkDeterministic(ctx context.Context, s *session) error {
	for i := range 3 {
		first, err := s.understand(ctx, s.sample(i))
		if err != nil {
			return err
		}
		for range 4 {
			again, err := s.understand(ctx, s.sample(i))
			if err != nil {
				return err
			}
			if err := differ(first[0], again[0]); err != nil {
				return fmt.Errorf("%s: %w", quote(s.sample(i).Text), err)
			}
		}
	}
	return nil
}

func texts(all ...string) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		for _, t := range all {
			if _, err := s.understand(ctx, s.say(t)); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkEmpty(ctx context.Context, s *session) error {
	r, err := s.ask(ctx, s.say(""), s.sample(0))
	if err != nil {
		return err
	}
	if err := elsewhere(r, s, 1); err != nil {
		return err
	}
	u, err := remote.Check(r.Results[0], utterance(s.say("")), s.o.Labels, remote.ForeignRefuse)
	var declined *remote.DeclinedError
	if errors.As(err, &declined) {
		return nil
	}
	if err == nil && len(u.Candidates) > 0 {
		return fmt.Errorf("an empty text is understood as %s", u.Candidates[0].Intent)
	}
	return err
}

// elsewhere demands that the i-th result, of the first sample, is a good one.
func elsewhere(r *remote.Response, s *session, i int) error {
	if _, err := remote.Check(r.Results[i], utterance(s.sample(0)), s.o.Labels, remote.ForeignRefuse); err != nil {
		return fmt.Errorf("the other utterance of the batch: %w", err)
	}
	return nil
}

func checkHint(ctx context.Context, s *session) error {
	for _, lang := range []string{"zh", "en", "fr", "xx-YY", ""} {
		err := s.some(ctx, func(u *remote.Utterance) { u.Lang = lang })
		if err != nil {
			return fmt.Errorf("lang %q: %w", lang, err)
		}
	}
	return nil
}

func checkContext(ctx context.Context, s *session) error {
	for _, earlier := range [][]string{{"hello", "我想问一下", strings.Repeat("long ", 1000)}, {}} {
		if err := s.some(ctx, func(u *remote.Utterance) { u.Context = earlier }); err != nil {
			return err
		}
	}
	return nil
}

func checkMinimal(ctx context.Context, s *session) error {
	return s.some(ctx, func(u *remote.Utterance) { *u = remote.Utterance{Text: u.Text, Packs: u.Packs} })
}

func checkUnknownFields(ctx context.Context, s *session) error {
	body, err := json.Marshal(map[string]any{
		"later": []int{1}, "utterances": []map[string]any{{"text": s.o.Samples[0].Text, "packs": s.o.Packs, "later": map[string]any{"a": nil}}},
	})
	if err != nil {
		return err
	}
	a, err := s.send(ctx, body)
	if err != nil {
		return err
	}
	_, err = response(a, 1)
	return err
}

func checkUnknownPack(ctx context.Context, s *session) error {
	odd := s.sample(0)
	odd.Packs = []string{"no-such-pack"}
	r, err := s.ask(ctx, odd, s.sample(0))
	if err != nil {
		return err
	}
	_, err = remote.Check(r.Results[0], utterance(odd), nil, remote.ForeignRefuse)
	var declined *remote.DeclinedError
	switch {
	case err == nil:
		return errors.New("an utterance of a pack that does not exist is answered as any other")
	case !errors.As(err, &declined):
		return err
	case declined.Code != remote.ErrorUnknownPack || declined.Message == "":
		return fmt.Errorf("the error is %q with the message %q, want the code %s and a sentence", declined.Code, declined.Message, remote.ErrorUnknownPack)
	}
	return elsewhere(r, s, 1)
}

func refused(bodies ...string) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		for _, b := range bodies {
			if err := refuses(s.send(ctx, []byte(b))); err != nil {
				return fmt.Errorf("%s: %w", quote(b), err)
			}
		}
		return nil
	}
}

func checkTooMany(ctx context.Context, s *session) error {
	const n = 10 * remote.MaxBatch
	us := make([]remote.Utterance, n)
	for i := range us {
		us[i] = s.sample(i)
	}
	body, err := json.Marshal(remote.Request{Utterances: us})
	if err != nil {
		return err
	}
	a, err := s.send(ctx, body)
	if err == nil && a.status == http.StatusOK {
		_, err = response(a, n)
		return err
	}
	return refuses(a, err)
}

// checkTooLarge is content with a connection that is closed on it: a server need
// not read what it does not want.
func checkTooLarge(ctx context.Context, s *session) error {
	u := s.say(strings.Repeat("a", 8<<20))
	body, err := json.Marshal(remote.Request{Utterances: []remote.Utterance{u}})
	if err != nil {
		return err
	}
	a, err := s.send(ctx, body)
	if err == nil && (a.status < 400 || a.status > 499) {
		return fmt.Errorf("status %d, want one from 400 to 499", a.status)
	}
	return s.alive(ctx)
}

// alive demands that the server answers after something unkind.
func (s *session) alive(ctx context.Context) error {
	if _, err := s.understand(ctx, s.sample(0)); err != nil {
		return fmt.Errorf("the request after it: %w", err)
	}
	return nil
}

func checkDeep(ctx context.Context, s *session) error {
	const depth = 100_000
	body := `{"utterances":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
	a, err := s.send(ctx, []byte(body))
	if err := refuses(a, err); err != nil {
		return err
	}
	return s.alive(ctx)
}

func checkMethod(ctx context.Context, s *session) error {
	a, err := s.send(ctx, nil, func(r *http.Request) { r.Method = http.MethodGet })
	if err == nil && (a.status < 400 || a.status > 499) {
		return fmt.Errorf("status %d, want one from 400 to 499", a.status)
	}
	return err
}

func checkPath(ctx context.Context, s *session) error {
	body, err := json.Marshal(remote.Request{Utterances: []remote.Utterance{s.sample(0)}})
	if err != nil {
		return err
	}
	a, err := s.send(ctx, body, func(r *http.Request) { r.URL.Path += "/no-such-path" })
	if err == nil && a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
		return fmt.Errorf("status %d, want 404", a.status)
	}
	return err
}

func checkToken(ctx context.Context, s *session) error {
	if s.o.Token == "" {
		return nil
	}
	body, err := json.Marshal(remote.Request{Utterances: []remote.Utterance{s.sample(0)}})
	if err != nil {
		return err
	}
	for _, header := range []string{"", "Bearer wrong", "Basic " + s.o.Token} {
		a, err := s.send(ctx, body, func(r *http.Request) {
			if r.Header.Del("Authorization"); header != "" {
				r.Header.Set("Authorization", header)
			}
		})
		if err != nil {
			return err
		}
		if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
			return fmt.Errorf("status %d with %q, want 401", a.status, header)
		}
	}
	return nil
}

func checkConcurrent(ctx context.Context, s *session) error {
	want := make([]remote.Understood, len(s.o.Samples))
	for i := range want {
		u, err := s.understand(ctx, s.sample(i))
		if err != nil {
			return err
		}
		want[i] = u[0]
	}
	return parallel(32, func(i int) error {
		for k := range 4 {
			at := (i + k) % len(want)
			got, err := s.understand(ctx, s.sample(at))
			if err != nil {
				return err
			}
			if err := differ(want[at], got[0]); err != nil {
				return fmt.Errorf("%s got another answer than alone: %w", quote(s.sample(at).Text), err)
			}
		}
		return nil
	})
}

// parallel runs n of f and gives the first error.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i]
}

func checkGivenUp(ctx context.Context, s *session) error {
	us := make([]remote.Utterance, remote.MaxBatch)
	for i := range us {
		us[i] = s.say(strings.Repeat(s.sample(i).Text+" ", 20))
	}
	for i := range 20 {
		short, cancel := context.WithTimeout(ctx, time.Duration(i)*100*time.Microsecond)
		_, _ = s.ask(short, us...) // whatever comes of it
		cancel()
	}
	return s.alive(ctx)
}

func checkDeadline(ctx context.Context, s *session) error {
	body, err := json.Marshal(remote.Request{Utterances: []remote.Utterance{s.sample(0)}})
	if err != nil {
		return err
	}
	for _, v := range []string{"1", "0", "-5", "soon", "999999999999999999999"} {
		a, err := s.send(ctx, body, func(r *http.Request) { r.Header.Set(remote.HeaderDeadline, v) })
		if err != nil {
			return fmt.Errorf("%s: %s: %w", remote.HeaderDeadline, v, err)
		}
		// Giving up is as good as answering; breaking is not.
		if a.status == http.StatusInternalServerError {
			return fmt.Errorf("%s: %s: status 500", remote.HeaderDeadline, v)
		}
	}
	return s.alive(ctx)
}

func checkLatency(ctx context.Context, s *session) error {
	took := make([]time.Duration, s.o.Calls)
	for i := range took {
		began := time.Now()
		if _, err := s.ask(ctx, s.sample(i)); err != nil {
			return err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return milliseconds(took[min(len(took)-1, int(share*float64(len(took))))])
	}
	s.latency = Latency{Calls: len(took), P50: at(0.5), P95: at(0.95), P99: at(0.99), Max: milliseconds(took[len(took)-1])}
	if s.latency.P99 > milliseconds(s.o.P99) {
		return fmt.Errorf("p99 is %.1f ms, over %v", s.latency.P99, s.o.P99)
	}
	return nil
}

func checkThroughput(ctx context.Context, s *session) error {
	const workers, batches, size = 4, 8, 16
	began := time.Now()
	err := parallel(workers, func(w int) error {
		for b := range batches {
			us := make([]remote.Utterance, size)
			for i := range us {
				us[i] = s.sample(w + b + i)
			}
			if _, err := s.understand(ctx, us...); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.rate = workers * batches * size / time.Since(began).Seconds()
	}
	return err
}

// best gives the best candidate, or none.
func best(u remote.Understood) conversation.Candidate {
	if len(u.Candidates) == 0 {
		return conversation.Candidate{}
	}
	return u.Candidates[0]
}
