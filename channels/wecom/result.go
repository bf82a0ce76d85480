package wecom

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/channels"
)

// read reads an answer, unless it says that the call failed.
func read(reply channels.Reply, result any) error {
	var answer struct {
		Code *int `json:"errcode"`
	}
	if err := reply.JSON(&answer); err != nil {
		return err
	}
	if answer.Code == nil || *answer.Code == 0 && json.Unmarshal(reply.Body, result) != nil {
		return &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	if failure := failureOf(*answer.Code); failure != nil {
		return failure
	}
	return nil
}

const codePrefix = "errcode_"

// failureOf classes an error code; nil is success.
//
// Source: https://developer.work.weixin.qq.com/document/path/90313.
func failureOf(code int) *channels.SendError {
	e := &channels.SendError{Class: channels.Permanent, Code: codePrefix + strconv.Itoa(code)}
	switch code {
	case 0:
		return nil
	case -1:
		e.Class = channels.Retry
	case 40001, 40013, 40014, 41001, 42001, 60020:
		e.Class, e.Scope = channels.Auth, channels.ScopeAccount
	case 45009, 45033:
		e.Class, e.Scope, e.After = channels.Limited, channels.ScopeAccount, time.Minute
	case 95001, 95002: // the messages that a visitor's own allows are sent, or 48 hours are over
		e.Class = channels.WindowClosed
	case 40003, 60111, 84061:
		e.Class = channels.Gone
	case 95000, 95004, 95011:
		e.Scope = channels.ScopeAccount
	}
	return e
}

// orLink gives [channels.ErrUseLink] in place of a failure that says that the file
// was not taken: its kind, its size, its length or its name at WeCom.
func orLink(err error) error {
	var failure *channels.SendError
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code {
	case codePrefix + "40004", codePrefix + "40005", codePrefix + "40006", codePrefix + "40007", codePrefix + "40009", codePrefix + "40010",
		codePrefix + "40011", codePrefix + "45001", codePrefix + "45007":
		return channels.ErrUseLink
	}
	return err
}
