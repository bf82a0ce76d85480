package formats

import (
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// Output is what an export gives: files, with names relative to a folder, and
// what the format has no place for.
type Output struct {
	Files   []OutputFile
	Remarks []Remark
}

// OutputFile is one file of an export.
type OutputFile struct {
	Name    string // slash-separated
	Content []byte
}

// Write puts packs into a format: [YAML], [JSON], [CSV], [XLSX] or [Rasa].
// Errors: class [conversation.ErrInvalid] for another format.
func Write(c *intent.Contents, f Format) (Output, error) {
	switch f {
	case YAML:
		return writeYAML(c)
	case JSON:
		return writeJSON(c)
	case CSV:
		return writeCSV(c)
	case XLSX:
		return writeXLSX(c)
	case Rasa:
		return writeRasa(c)
	case Auto, Dialogflow, Botpress:
	}
	return Output{}, conversation.Refusef(conversation.CodeInvalid, "packs are not written as %q, but as yaml, json, csv, xlsx or rasa", f)
}

// leaveOut notes what the format has no place for.
func (o *Output) leaveOut(at, what, why string) {
	o.Remarks = append(o.Remarks, Remark{Kind: LeftOut, At: at, What: shorten(what), Why: why})
}

// leaveOutRest notes what neither a spreadsheet nor Rasa's files can say.
func (o *Output) leaveOutRest(c *intent.Contents, format string) {
	for _, f := range c.Flows {
		o.leaveOut("flow "+f.Name, f.URL, format+" has no look-ups")
	}
	for i := range c.Intents {
		x := &c.Intents[i]
		at := "intent " + x.ID
		if x.Auto != nil || x.Suggest != nil || x.Priority != "" || x.Anger != "" {
			o.leaveOut(at, "policy", format+" has no thresholds, priorities and anger policies of intents")
		}
		if x.Handover {
			o.leaveOut(at, "policy: handover", format+" does not say when a human takes over")
		}
		if len(x.Need) > 0 || x.Flow != "" {
			o.leaveOut(at, fmt.Sprintf("need %v, flow %s", x.Need, x.Flow), format+" has no slots that an answer waits for")
		}
	}
}
