using System.Security.Cryptography;
using System.Text;

namespace UPool.MySql;

/// <summary>
/// Which server a session is with. After a switch-over the same address leads to another server, on which an id says
/// nothing about a session of the former one.
/// </summary>
/// <param name="Name">The server's own name for itself (<see cref="DatabaseFamily.Identity"/>), at most
/// <see cref="MaxNameLength"/> ASCII characters; null while nobody has said. Two servers differ for certain when their
/// names do.</param>
/// <param name="Witness">A random value of the register, where there is one: it lives as long as the server does. It
/// tells apart what a copy of a server has in common with it, and one start of a server from the next.</param>
internal readonly record struct ServerIdentity(string? Name, string? Witness = null)
{
    /// <summary>The width of the register's column.</summary>
    public const int MaxNameLength = 64;

    /// <summary>Whether the two are different servers for certain, so that one cannot answer for the other's
    /// sessions.</summary>
    public bool IsOther(ServerIdentity other) =>
        Name is not null && other.Name is not null && !string.Equals(Name, other.Name, StringComparison.Ordinal);

    /// <summary>Whether anything says that the address leads elsewhere than before, or that the server has
    /// restarted.</summary>
    public bool DiffersFrom(ServerIdentity other) =>
        IsOther(other) || (Witness is not null && other.Witness is not null && Witness != other.Witness);

    /// <summary>The identity by what a server answered.</summary>
    public static ServerIdentity Of(string? answer) => new(
        answer is null ? null
            : answer.Length <= MaxNameLength && answer.All(static c => c is > ' ' and <= '~') ? answer
            : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(answer))));
}
