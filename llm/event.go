package llm

import (
	"encoding/json"
	"strings"
)

// EventType says what an [Event] tells.
type EventType uint8

// The kinds of event. A stream is EventStart, then parts (each opened by its
// first delta or by EventToolCall, at most closed by EventPartEnd), then
// EventFinish for each choice, and EventEnd. EventUsage may come anywhere after
// the start, repeatedly; its counts are cumulative.
const (
	EventStart     EventType = iota // ID, Model, Created
	EventText                       // Text
	EventThinking                   // Text
	EventSignature                  // Text: signature of the thinking part at Part
	EventRedacted                   // Text: opaque thinking data
	EventRefusal                    // Text
	EventToolCall                   // ID, Name, and Text: the first piece of the arguments, often empty
	EventToolArgs                   // Text: a further piece of the arguments
	EventOther                      // Raw: a piece that only its own protocol knows
	EventLogprobs                   // Raw: OpenAI's logprobs object of this delta
	EventPartEnd                    // the part at Part is complete
	EventFinish                     // Finish, RawFinish, StopSequence
	EventUsage                      // Usage
	EventEnd                        // the answer is complete
)

// Event is one step of an answer. Choice is the index of the choice it belongs
// to; Part is the position of its part within the choice, counted over all
// kinds of part, never going back to a closed one except for tool calls, whose
// argument deltas may interleave.
type Event struct {
	Type         EventType
	Choice       int
	Part         int
	Text         string
	ID           string
	Name         string
	Model        string
	Created      int64
	Finish       FinishReason
	RawFinish    string
	StopSequence string
	Usage        Usage
	ServiceTier  string
	Fingerprint  string
	Raw          json.RawMessage
}

// Events tells a whole response as the events of a stream that would have
// collected to it.
func (r *Response) Events() []Event {
	evs := []Event{{Type: EventStart, ID: r.ID, Model: r.Model, Created: r.Created, ServiceTier: r.ServiceTier, Fingerprint: r.Fingerprint}}
	for _, c := range r.Choices {
		for i, p := range c.Parts {
			evs = append(evs, p.events(c.Index, i)...)
			evs = append(evs, Event{Type: EventPartEnd, Choice: c.Index, Part: i})
		}
		if len(c.Logprobs) > 0 {
			evs = append(evs, Event{Type: EventLogprobs, Choice: c.Index, Raw: c.Logprobs})
		}
		evs = append(evs, Event{Type: EventFinish, Choice: c.Index, Finish: c.Finish, RawFinish: c.RawFinish, StopSequence: c.StopSequence})
	}
	if r.Usage.Reported {
		evs = append(evs, Event{Type: EventUsage, Usage: r.Usage})
	}
	return append(evs, Event{Type: EventEnd})
}

func (p Part) events(choice, index int) []Event {
	ev := Event{Choice: choice, Part: index, Text: p.Text}
	switch p.Type {
	case PartText:
		ev.Type, ev.Raw = EventText, p.Raw
	case PartThinking:
		ev.Type = EventThinking
		if p.Signature != "" {
			return []Event{ev, {Type: EventSignature, Choice: choice, Part: index, Text: p.Signature}}
		}
	case PartRedactedThinking:
		ev.Type = EventRedacted
	case PartRefusal:
		ev.Type = EventRefusal
	case PartToolCall:
		ev.Type, ev.ID, ev.Name, ev.Text = EventToolCall, p.ToolCall.ID, p.ToolCall.Name, p.ToolCall.Arguments
	default:
		ev.Type, ev.Raw, ev.Name = EventOther, p.Raw, p.Name
	}
	return []Event{ev}
}

// Collector puts a stream's events together into a [Response]. The zero value
// is ready.
type Collector struct {
	resp    Response
	choices map[int]*collecting
	order   []int
}

type collecting struct {
	choice   Choice
	parts    map[int]*collectingPart
	order    []int
	logprobs []json.RawMessage
}

type collectingPart struct {
	part Part
	text strings.Builder
}

// Add takes the next event.
func (c *Collector) Add(ev Event) {
	switch ev.Type {
	case EventStart:
		c.resp.ID, c.resp.Model, c.resp.Created = ev.ID, ev.Model, ev.Created
		c.resp.ServiceTier, c.resp.Fingerprint = ev.ServiceTier, ev.Fingerprint
	case EventUsage:
		c.resp.Usage.Merge(ev.Usage)
	case EventEnd, EventPartEnd:
	case EventFinish:
		ch := c.choice(ev.Choice)
		ch.choice.Finish, ch.choice.RawFinish, ch.choice.StopSequence = ev.Finish, ev.RawFinish, ev.StopSequence
	case EventLogprobs:
		ch := c.choice(ev.Choice)
		ch.logprobs = append(ch.logprobs, ev.Raw)
	default:
		c.choice(ev.Choice).add(ev)
	}
}

func (c *Collector) choice(i int) *collecting {
	if c.choices == nil {
		c.choices = map[int]*collecting{}
	}
	ch := c.choices[i]
	if ch == nil {
		ch = &collecting{choice: Choice{Index: i}, parts: map[int]*collectingPart{}}
		c.choices[i] = ch
		c.order = append(c.order, i)
	}
	return ch
}

func (ch *collecting) add(ev Event) {
	p := ch.parts[ev.Part]
	if p == nil {
		p = &collectingPart{part: Part{Type: partTypeOf(ev.Type)}}
		ch.parts[ev.Part] = p
		ch.order = append(ch.order, ev.Part)
	}
	switch ev.Type {
	case EventSignature:
		p.part.Signature += ev.Text
	case EventOther:
		p.part.Name, p.part.Raw = ev.Name, ev.Raw
	case EventToolCall:
		p.part.ToolCall = &ToolCall{ID: ev.ID, Name: ev.Name}
		p.text.WriteString(ev.Text)
	default:
		if len(ev.Raw) > 0 {
			p.part.Raw = ev.Raw
		}
		p.text.WriteString(ev.Text)
	}
}

func partTypeOf(t EventType) PartType {
	switch t {
	case EventText:
		return PartText
	case EventThinking, EventSignature:
		return PartThinking
	case EventRedacted:
		return PartRedactedThinking
	case EventRefusal:
		return PartRefusal
	case EventToolCall, EventToolArgs:
		return PartToolCall
	default:
		return PartOther
	}
}

// Response is what was collected so far.
func (c *Collector) Response() *Response {
	out := c.resp
	for _, i := range c.order {
		ch := c.choices[i]
		choice := ch.choice
		for _, k := range ch.order {
			p := ch.parts[k].part
			text := ch.parts[k].text.String()
			if p.Type == PartToolCall {
				call := ToolCall{Arguments: text}
				if p.ToolCall != nil {
					call.ID, call.Name = p.ToolCall.ID, p.ToolCall.Name
				}
				p.ToolCall = &call
			} else {
				p.Text = text
			}
			choice.Parts = append(choice.Parts, p)
		}
		choice.Logprobs = joinLogprobs(ch.logprobs)
		out.Choices = append(out.Choices, choice)
	}
	return &out
}

// joinLogprobs joins the logprobs objects of a stream's deltas, each with the
// lists "content" and "refusal", into one.
func joinLogprobs(objs []json.RawMessage) json.RawMessage {
	if len(objs) <= 1 {
		if len(objs) == 0 {
			return nil
		}
		return objs[0]
	}
	var all struct {
		Content []json.RawMessage `json:"content"`
		Refusal []json.RawMessage `json:"refusal"`
	}
	for _, o := range objs {
		one := all
		one.Content, one.Refusal = nil, nil
		if json.Unmarshal(o, &one) == nil {
			all.Content = append(all.Content, one.Content...)
			all.Refusal = append(all.Refusal, one.Refusal...)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		return nil
	}
	return out
}
