using Orleans.Serialization.Cloning;

namespace UPool.Cluster.Workers;

/// <summary>
/// Travels with a write and admits it once (INV-9). It answers two questions that Orleans leaves open.
/// </summary>
/// <remarks>
/// <para>Was it sent? Whoever gives up a write voids its ticket. If that succeeds, no request of it had left this
/// process and none ever will with effect: "nothing was changed" is then certain, and only otherwise is the outcome
/// unknown.</para>
/// <para>Was it sent twice? A message that was being written when its connection broke is sent again by Orleans itself
/// (Connection.CloseAsync hands what was in flight to OnSendMessageFailure), although the first copy may have arrived.
/// A message's ticket is valid in its first serialization only, so the second copy is turned away where it
/// arrives.</para>
/// <para>The caller holds one ticket, and every message that it sends with it carries one made from that: Orleans
/// copies its context once for each message. So a caller may make several calls, and a call several writes.</para>
/// </remarks>
public sealed class WriteTicket
{
    // The entry of Orleans' request context that carries the ticket beside the arguments of a call.
    internal const string ContextKey = "upool.write-ticket";

    // A caller's ticket goes Held -> Spent with its first message that is sent or admitted, or Held -> Void when the
    // caller gives up. A message's goes Held -> Spent when it is sent, Held -> Admitted when its first write begins, or
    // Held -> Void. None of these states is ever left.
    private const int Held = 0;
    private const int Spent = 1;
    private const int Void = 2;
    private const int Admitted = 3;

    // Where the ticket of the call that is being served waits for the base of the worker: seen by everything that the
    // call does, whatever method does it. Not in Orleans' context, which is sent along with whatever the worker calls
    // itself.
    internal static readonly AsyncLocal<WriteTicket?> Arrived = new();

    // The ticket of the caller, in its own process.
    private readonly WriteTicket? _caller;

    // Changed by compare-exchange only: a connection's sender and the caller who gives up run on different threads.
    private int _state;

    private volatile bool _isCallOver;

    internal WriteTicket(bool isValid = true) => _state = isValid ? Held : Void;

    private WriteTicket(WriteTicket caller) => _caller = caller;

    /// <summary>Makes the ticket worthless unless a message of it was sent or admitted; true when none ever was and
    /// none ever will be.</summary>
    internal bool TryVoid() => TryLeave(Void) || Volatile.Read(ref _state) == Void;

    /// <summary>Uses the ticket as its message is sent; false when it was used before, or is void.</summary>
    internal bool TrySend() => IsCallersWish() && TryLeave(Spent);

    /// <summary>The ticket of one message; a copy of that message carries the same.</summary>
    internal WriteTicket ForMessage() => new(this);

    /// <summary>Whether the call that arrived with this ticket may write; the same answer for all of its
    /// writes.</summary>
    internal bool Admits()
    {
        if (Volatile.Read(ref _state) == Held) TryLeave(IsCallersWish() ? Admitted : Void);

        // What outlives the call is the worker's own work, whichever call began it: a loop that is started once, say.
        return Volatile.Read(ref _state) == Admitted || _isCallOver;
    }

    /// <summary>Tells that the call which arrived with this ticket has been answered.</summary>
    internal void EndCall() => _isCallOver = true;

    // Whether the caller still wants it; from here on it cannot take it back.
    private bool IsCallersWish() =>
        _caller is null || _caller.TryLeave(Spent) || Volatile.Read(ref _caller._state) == Spent;

    private bool TryLeave(int state) => Interlocked.CompareExchange(ref _state, state, Held) == Held;
}

/// <summary>A <see cref="WriteTicket"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.WriteTicket")]
internal struct WriteTicketSurrogate
{
    /// <summary>Whether this is the first copy, of a ticket that was not voided.</summary>
    [Id(0)] public bool IsValid { get; set; }
}

/// <summary>Sending a ticket uses it: the copy that arrives is the ticket from then on.</summary>
[RegisterConverter]
internal sealed class WriteTicketConverter : IConverter<WriteTicket, WriteTicketSurrogate>
{
    /// <inheritdoc/>
    public WriteTicket ConvertFromSurrogate(in WriteTicketSurrogate surrogate) => new(surrogate.IsValid);

    /// <inheritdoc/>
    public WriteTicketSurrogate ConvertToSurrogate(in WriteTicket value) => new() { IsValid = value.TrySend() };
}

/// <summary>Orleans copies its context for each message, and for nothing else.</summary>
[RegisterCopier]
public sealed class WriteTicketCopier : IDeepCopier<WriteTicket>
{
    /// <inheritdoc/>
    public WriteTicket? DeepCopy(WriteTicket? input, CopyContext context) => input?.ForMessage();
}
