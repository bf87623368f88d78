using UPool.Core;

namespace UPool.Sharing;

/// <summary>What is asked on a line, and what its callers hear of it.</summary>
/// <typeparam name="TKey">The question.</typeparam>
/// <typeparam name="TAnswer">What a caller hears: an answer, or why there is none.</typeparam>
internal interface IAsked<TKey, TAnswer>
    where TKey : notnull, IEquatable<TKey>
{
    /// <summary>The clock of all deadlines.</summary>
    TimeProvider Clock { get; }

    /// <summary>The wheel of all deadlines.</summary>
    DeadlineWheel Wheel { get; }

    /// <summary>How long past his deadline a caller may still hear an answer that is on its way, in ticks of the
    /// clock.</summary>
    long GraceTicks { get; }

    /// <summary>
    /// Asks for all who have joined until it calls <see cref="Asking{TKey,TAnswer}.Close"/>, which it does at the last
    /// moment before it sends (INV-10). What it throws is heard by all who were not answered.
    /// </summary>
    /// <param name="asking">The asking.</param>
    /// <param name="abandoned">Cancelled when nobody waits any more.</param>
    Task AskAsync(Asking<TKey, TAnswer> asking, CancellationToken abandoned);

    /// <summary>What a caller hears for whom nothing was sent.</summary>
    TAnswer Refused(RefusalReason reason);

    /// <summary>Tells a caller that what was sent was not answered by his deadline.</summary>
    void TellLate(AskingCaller<TKey, TAnswer> caller);

    /// <summary>Tells a caller that there was no answer to his question among those to the others. Throws nothing: he
    /// may be one of many who are told in turn.</summary>
    void TellNothing(AskingCaller<TKey, TAnswer> caller);

    /// <summary>An asking that was sent has ended; so many shared it.</summary>
    void OnAsked(int callers);
}
