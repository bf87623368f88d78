namespace UPool.Management;

/// <summary>The body of a reply without data: the envelope of the original uPool.</summary>
/// <param name="Code">1 on success, else 0.</param>
/// <param name="Msg">The outcome, in a few words for a person.</param>
public sealed record Envelope(int Code, string Msg);

/// <summary>The body of a reply with data.</summary>
/// <param name="Code">1 on success, else 0.</param>
/// <param name="Msg">The outcome, in a few words for a person.</param>
/// <param name="Data">The data.</param>
public sealed record Envelope<T>(int Code, string Msg, T Data);
