using Orleans.Serialization.Cloning;

namespace UPool.Cluster.Workers;

/// <summary>
/// Travels with a write and admits it once (INV-9). It answers two questions that Orleans leaves open.
/// </summary>
/// <remarks>
/// <para>Was it sent? A caller that gives up a write voids its ticket. If that succeeds, no request of it had left this
/// process and none ever will with effect: "nothing was changed" is then certain, and only otherwise is the outcome
/// unknown.</para>
/// <para>Was it sent twice? Orleans itself sends a message again that was being written when its connection broke
/// (Connection.CloseAsync hands messages in flight to OnSendMessageFailure), although the first copy may have arrived.
/// A message's ticket is valid in its first serialization only, so the second copy is rejected where it arrives.</para>
/// <para>The caller holds one ticket, and every message that it sends with it carries one made from that: Orleans
/// copies its context once for each message. So a caller may make several calls, and a call several writes.</para>
/// </remarks>
public sealed class WriteTicket
{
    // The entry of Orleans' request context that carries the ticket of a call.
    internal const string ContextKey = "upool.write-ticket";

    // A caller's ticket goes Held -> Spent with its first message that is sent or admitted, or Held -> Void when the
    // caller gives up. A message's goes Held -> Spent when it is sent, Held -> Admitted when its first write begins, or
    // Held -> Void. Spent, Void and Admitted are final.
    private const int Held = 0;
    private const int Spent = 1;
    private const int Void = 2;
    private const int Admitted = 3;

    // The ticket of the call that is being served, for the worker's base class. Everything that the call does sees it,
    // in any method. Not in Orleans' context, which would travel with the calls that the worker makes.
    internal static readonly AsyncLocal<WriteTicket?> Arrived = new();

    // The caller's ticket, in the caller's own process.
    private readonly WriteTicket? _caller;

    // Changed by compare-exchange only: a connection's sender and a caller that gives up run on different threads.
    private int _state;

    private volatile bool _isCallOver;

    internal WriteTicket(bool isValid = true) => _state = isValid ? Held : Void;

    private WriteTicket(WriteTicket caller) => _caller = caller;

    /// <summary>Voids the ticket unless a message of it was sent or admitted; true if none ever was and none ever will
    /// be.</summary>
    internal bool TryVoid() => TryLeave(Void) || Volatile.Read(ref _state) == Void;

    /// <summary>Uses the ticket as its message is sent; false if it was used before, or is void.</summary>
    internal bool TrySend() => IsCallersWish() && TryLeave(Spent);

    /// <summary>The ticket of one message; a copy of that message carries the same.</summary>
    internal WriteTicket ForMessage() => new(this);

    /// <summary>Whether the call that arrived with this ticket may write; the same answer for all of its
    /// writes.</summary>
    internal bool Admits()
    {
        if (Volatile.Read(ref _state) == Held) TryLeave(IsCallersWish() ? Admitted : Void);

        // Work that outlives the call is the worker's own, whichever call began it: for example a loop started once.
        return Volatile.Read(ref _state) == Admitted || _isCallOver;
    }

    /// <summary>Notes that the call which arrived with this ticket has been answered.</summary>
    internal void EndCall() => _isCallOver = true;

    // Whether the caller still wants the write; from here on it cannot withdraw it.
    private bool IsCallersWish() =>
        _caller is null || _caller.TryLeave(Spent) || Volatile.Read(ref _caller._state) == Spent;

    private bool TryLeave(int state) => Interlocked.CompareExchange(ref _state, state, Held) == Held;
}

/// <summary>A <see cref="WriteTicket"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.WriteTicket")]
internal struct WriteTicketSurrogate
{
    /// <summary>Whether this is the first copy of a ticket that was not voided.</summary>
    [Id(0)] public bool IsValid { get; set; }
}

/// <summary>Serializes a ticket. Sending it uses it: the copy that arrives is the ticket from then on.</summary>
[RegisterConverter]
internal sealed class WriteTicketConverter : IConverter<WriteTicket, WriteTicketSurrogate>
{
    /// <inheritdoc/>
    public WriteTicket ConvertFromSurrogate(in WriteTicketSurrogate surrogate) => new(surrogate.IsValid);

    /// <inheritdoc/>
    public WriteTicketSurrogate ConvertToSurrogate(in WriteTicket value) => new() { IsValid = value.TrySend() };
}

/// <summary>Makes a message's ticket: Orleans copies its context for each message, and for nothing else.</summary>
[RegisterCopier]
public sealed class WriteTicketCopier : IDeepCopier<WriteTicket>
{
    /// <inheritdoc/>
    public WriteTicket? DeepCopy(WriteTicket? input, CopyContext context) => input?.ForMessage();
}
