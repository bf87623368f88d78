namespace UPool.Grains.Tests;

public sealed class UserNamesTests
{
    // Not as test data: an attribute's strings are stored as UTF-8, which has no lone surrogates.
    [Fact]
    public void Problem_LoneSurrogate_IsNotValidUnicode()
    {
        const char High = '\ud83d';
        const char Low = '\ude00';

        Assert.Equal("name is not valid Unicode", UserNames.Problem($"{High}", 255));
        Assert.Equal("name is not valid Unicode", UserNames.Problem($"a{Low}b", 255));
        Assert.Equal("name is not valid Unicode", UserNames.Problem($"{Low}{High}", 255));
        Assert.Null(UserNames.Problem($"{High}{Low}", 1));
    }

    [Fact]
    public void Problem_Length_CountsCodePoints()
    {
        Assert.Null(UserNames.Problem("e\u0301", 2));
        Assert.Equal("name is longer than 1 characters", UserNames.Problem("e\u0301", 1));
    }
}
