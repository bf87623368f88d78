using System.Security.Authentication;

namespace UPool.MySql;

/// <summary>Why a server has not proved who it is.</summary>
internal enum ServerProofFault
{
    /// <summary>It sent no certificate.</summary>
    None,

    /// <summary>Its certificate is for another name.</summary>
    Name,

    /// <summary>Neither the system nor <c>SslCa</c> knows the authority.</summary>
    Authority,

    /// <summary>A certificate of the chain has run out, or its time has not begun.</summary>
    Time,

    /// <summary>The authority has revoked it.</summary>
    Revoked,

    /// <summary>The authority's list of revoked certificates cannot be had.</summary>
    Revocation,

    /// <summary>It is for other uses than a server, or breaks another rule.</summary>
    Purpose,

    /// <summary>The file of <c>SslCa</c> cannot be read.</summary>
    AuthorityFile,
}

/// <summary>A server has not proved who it is. The driver passes it on inside its own exception.</summary>
internal sealed class ServerProofException(ServerProofFault fault) : AuthenticationException($"{fault}")
{
    /// <summary>Why.</summary>
    public ServerProofFault Fault => fault;
}
