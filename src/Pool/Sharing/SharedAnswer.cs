using UPool.Core;

namespace UPool;

/// <summary>The result of a shared read: an answer, or the reason for the refusal. A value, so a refusal does not
/// throw.</summary>
/// <typeparam name="T">The answer.</typeparam>
public readonly struct SharedAnswer<T>
{
    private readonly RentRefusal? _refusal;

    internal SharedAnswer(T? value) => Value = value;

    internal SharedAnswer(RentRefusal refusal) => _refusal = refusal;

    /// <summary>Whether the read was answered; false when it got no connection in time.</summary>
    public bool IsAnswered => _refusal is null;

    /// <summary>The answer; for a look-up, null when there is no such row. All callers of the read batch share this
    /// object: do not change it.</summary>
    public T? Value { get; }

    /// <summary>Why the read was refused; 0 when it was answered.</summary>
    public RefusalReason Refusal => _refusal?.Reason ?? 0;

    /// <summary>The refusal as text, with the pool's counts; empty when the read was answered.</summary>
    public string Message => _refusal?.Message ?? "";

    /// <summary>Returns the answer, or throws the refusal.</summary>
    /// <exception cref="RentRefusedException">The read was refused.</exception>
    public T? GetValueOrThrow() =>
        _refusal is null ? Value : throw new RentRefusedException(Refusal, Message, _refusal.Cause);
}
