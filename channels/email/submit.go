package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/colloquyhq/colloquy/channels"
)

const (
	submitAgain = time.Minute // after a server said «not now»: greylisting wants a while
	quitWithin  = time.Second
)

// submission is a connection to a submission server. Only this file knows the
// library.
type submission struct {
	client *smtp.Client
	stop   func() bool
}

// newSubmission connects and logs in. Errors: [*channels.SendError]; nothing was
// sent.
func newSubmission(ctx context.Context, dial Dial, l login, token, as string) (*submission, error) {
	conn, err := connect(ctx, dial, l)
	if err != nil {
		return nil, err
	}
	s := &submission{stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if l.security == securityStartTLS {
		config, err := l.tls()
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		if s.client, err = smtp.NewClientStartTLS(conn, config); err != nil {
			s.stop()
			return nil, noStartTLS(&l, err)
		}
	} else {
		s.client = smtp.NewClient(conn)
		if err := s.client.Hello(as); err != nil {
			s.close()
			return nil, classifySMTP(err, stageLogin)
		}
	}
	way := s.mechanism(&l, token)
	if way == nil {
		s.close()
		return nil, &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "smtp_no_oauth"}
	}
	if err := s.client.Auth(way); err != nil {
		s.close()
		if tokenRefused(err) {
			return nil, &channels.SendError{Class: channels.Auth, Scope: channels.ScopeAccount, Code: "smtp_login_refused", After: refusedAgain}
		}
		return nil, classifySMTP(err, stageLogin)
	}
	return s, nil
}

// mechanism gives the way of logging in: with a token, by PLAIN, or by the older one
// of servers that do not have it.
func (s *submission) mechanism(l *login, token string) sasl.Client {
	if token != "" {
		return tokenClient(l, token, s.client.SupportsAuth)
	}
	if !s.client.SupportsAuth(sasl.Plain) && s.client.SupportsAuth(sasl.Login) {
		return sasl.NewLoginClient(l.user, l.password)
	}
	return sasl.NewPlainClient("", l.user, l.password)
}

// noStartTLS classes a connection that stayed in clear. The server's own no says
// that it is busy, or that it cannot; then nobody may know the password.
func noStartTLS(l *login, err error) error {
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		return classifySMTP(err, stageLogin)
	}
	return l.notSecure(err)
}

// send hands a mail over. Errors: [*channels.SendError]: of class Unknown once the
// server had all of it and was not heard of again.
func (s *submission) send(from, to string, write func(io.Writer) error) error {
	var options *smtp.MailOptions
	if utf8, _ := s.client.Extension("SMTPUTF8"); utf8 && !isASCII(to) {
		options = &smtp.MailOptions{UTF8: true}
	}
	if err := s.client.Mail(from, options); err != nil {
		return classifySMTP(err, stageSender)
	}
	if err := s.client.Rcpt(to, nil); err != nil {
		return classifySMTP(err, stageRecipient)
	}
	w, err := s.client.Data()
	if err != nil {
		return classifySMTP(err, stageContent)
	}
	if err := write(w); err != nil {
		_ = s.client.Close() // without the final dot, so the server has no mail
		return classifySMTP(err, stageContent)
	}
	if err := w.Close(); err != nil {
		return classifySMTP(err, stageEnd)
	}
	return nil
}

func (s *submission) close() {
	s.client.CommandTimeout = quitWithin
	_ = s.client.Quit() // the mail is taken or it is not; this says goodbye
	s.stop()
	_ = s.client.Close()
}

// stage is how far a submission has come.
type stage uint8

const (
	stageLogin stage = iota
	stageSender
	stageRecipient
	stageContent
	stageEnd // the final dot was written
)

// classifySMTP says what a server's answer, or its silence, means at a stage.
func classifySMTP(err error, at stage) error {
	e := &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: "smtp_failed", Err: err}
	var answer *smtp.SMTPError
	if !errors.As(err, &answer) {
		if at == stageEnd {
			e.Class, e.Scope, e.Code = channels.Unknown, channels.ScopePeer, "smtp_no_answer"
		}
		return e
	}
	e.Code, e.Err = "smtp_"+strconv.Itoa(answer.Code), fmt.Errorf("the server says %d %s", answer.Code, enhanced(answer))
	if answer.EnhancedCode != smtp.NoEnhancedCode {
		e.Code += "_" + enhanced(answer)
	}
	if at >= stageRecipient {
		e.Scope = channels.ScopePeer
	}
	switch {
	case answer.Code/100 == 4:
		e.After = submitAgain
	case at == stageLogin || answer.Code == 530 || answer.Code == 535:
		e.Class, e.Scope, e.After = channels.Auth, channels.ScopeAccount, refusedAgain
	case at == stageRecipient && unknownRecipient(answer):
		e.Class = channels.Gone
	default:
		e.Class = channels.Permanent
	}
	return e
}

// unknownRecipient reports whether a server says that there is no such mailbox, or
// no such domain (RFC 3463, 3.2).
func unknownRecipient(a *smtp.SMTPError) bool {
	c := a.EnhancedCode
	return c[0] == 5 && c[1] == 1 && (c[2] == 1 || c[2] == 2 || c[2] == 3 || c[2] == 6 || c[2] == 10)
}

func enhanced(a *smtp.SMTPError) string {
	return fmt.Sprintf("%d.%d.%d", a.EnhancedCode[0], a.EnhancedCode[1], a.EnhancedCode[2])
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
