using UPool.Core;

namespace UPool;

/// <summary>What a shared read came to: an answer, or the reason why there is none. A value, so that no refusal
/// throws.</summary>
/// <typeparam name="T">The answer.</typeparam>
public readonly struct SharedAnswer<T>
{
    private readonly RentRefusal? _refusal;

    internal SharedAnswer(T? value) => Value = value;

    internal SharedAnswer(RentRefusal refusal) => _refusal = refusal;

    /// <summary>Whether it was answered; false when no connection was had in time.</summary>
    public bool IsAnswered => _refusal is null;

    /// <summary>The answer; of a look-up, null when there is no such row. The same object for all who shared the
    /// asking: nobody may change it.</summary>
    public T? Value { get; }

    /// <summary>Why the read was refused; 0 when it was answered.</summary>
    public RefusalReason Refusal => _refusal?.Reason ?? 0;

    /// <summary>The refusal in words, with the pool's counts; empty when the read was answered.</summary>
    public string Message => _refusal?.Message ?? "";

    /// <summary>The answer, or the refusal thrown.</summary>
    /// <exception cref="RentRefusedException">The read was refused.</exception>
    public T? GetValueOrThrow() =>
        _refusal is null ? Value : throw new RentRefusedException(Refusal, Message, _refusal.Cause);
}
