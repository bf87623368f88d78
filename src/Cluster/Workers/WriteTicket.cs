using Orleans.Serialization.Cloning;

namespace UPool.Cluster.Workers;

/// <summary>
/// Travels with a write and admits it once (INV-9). It answers two questions that Orleans leaves open.
/// </summary>
/// <remarks>
/// <para>Was it sent? Whoever gives up a write voids its ticket. If that succeeds, the request had not left this
/// process and never will with effect: "nothing was changed" is then certain, and only otherwise is the outcome
/// unknown.</para>
/// <para>Was it sent twice? A message that was being written when its connection broke is sent again by Orleans itself
/// (Connection.CloseAsync hands what was in flight to OnSendMessageFailure), although the first copy may have arrived.
/// A ticket is valid in its first serialization only, so the second copy is turned away where it arrives.</para>
/// </remarks>
public sealed class WriteTicket
{
    // The entry of Orleans' request context that carries the ticket beside the arguments of a call.
    internal const string ContextKey = "upool.write-ticket";

    // Held -> Spent when it is sent or used, Held -> Void when its holder gives up. Neither state is ever left.
    private const int Held = 0;
    private const int Spent = 1;
    private const int Void = 2;

    // Where the ticket of the call that is being served waits for the base of the worker. Not in Orleans' context,
    // which is sent along with whatever the worker calls itself: that would spend the ticket.
    internal static readonly AsyncLocal<WriteTicket?> Arrived = new();

    // Changed by compare-exchange only: a connection's sender and the caller who gives up run on different threads.
    private int _state;

    internal WriteTicket(bool isValid = true) => _state = isValid ? Held : Void;

    /// <summary>Makes the ticket worthless unless it was sent or used; true when it never was and never will
    /// be.</summary>
    public bool TryVoid() => TryLeave(Void) || Volatile.Read(ref _state) == Void;

    /// <summary>Uses the ticket; false when it was used, sent on, or is void.</summary>
    public bool TryUse() => TryLeave(Spent);

    private bool TryLeave(int state) => Interlocked.CompareExchange(ref _state, state, Held) == Held;
}

/// <summary>A <see cref="WriteTicket"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.WriteTicket")]
public struct WriteTicketSurrogate
{
    /// <summary>Whether this is the first copy, of a ticket that was not voided.</summary>
    [Id(0)] public bool IsValid { get; set; }
}

/// <summary>Sending a ticket uses it: the copy that arrives is the ticket from then on.</summary>
[RegisterConverter]
public sealed class WriteTicketConverter : IConverter<WriteTicket, WriteTicketSurrogate>
{
    /// <inheritdoc/>
    public WriteTicket ConvertFromSurrogate(in WriteTicketSurrogate surrogate) => new(surrogate.IsValid);

    /// <inheritdoc/>
    public WriteTicketSurrogate ConvertToSurrogate(in WriteTicket value) => new() { IsValid = value.TryUse() };
}

/// <summary>In one process there is one ticket: a copy could be used a second time.</summary>
[RegisterCopier]
public sealed class WriteTicketCopier : ShallowCopier<WriteTicket>;
